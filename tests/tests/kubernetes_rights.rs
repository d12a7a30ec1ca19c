//! The rights that Coffer ships: enough to mint a token where the driver passes none, and no more. Each one that is
//! missing is named by the error.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::ExitCode;
use std::sync::Arc;

use coffer_tests::kubernetes::{
    COFFER_NAMESPACE, ClusterOptions, ClusterWithVault, Generation, Namespace, Node, Suite, Tokens,
    shipped_rbac,
};
use coffer_tests::{MountCall, Pod, Refusal, until};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

const KEY_SECRET: &str = "vault-csi-provider-hmac-key";

fn main() -> ExitCode {
    // As upstream ships it, the CSIDriver object asks for no tokens.
    let options = ClusterOptions { tokens: Tokens::NotRequested, ..ClusterOptions::default() };
    Suite::new(move || ClusterWithVault::start(options))
        .one_at_a_time()
        .on_each_driver("a_token_is_minted_where_none_is_sent", a_token_is_minted_where_none_is_sent)
        .on_each_driver("without_the_right_to_mint_the_error_names_it", without_the_right_to_mint)
        .test("a_minted_token_is_bound_to_the_pod", a_minted_token_is_bound_to_the_pod)
        .mounting("without_the_right_to_read_the_key_the_error_names_it", without_the_right_to_read_the_key)
        .mounting("without_the_right_to_make_the_key_the_error_names_it", without_the_right_to_make_the_key)
        .test("nothing_else_is_allowed", nothing_else_is_allowed)
        .run()
}

/// A namespace with the class `db`, for audience `vault`.
async fn prepare(site: &ClusterWithVault, name: &str) -> Namespace {
    let namespace = site.namespace(name).await;
    site.put(&namespace, "db", json!({ "k": "v" })).await;
    let objects = namespace.objects("db", &[("f", "k")]);
    let parameters = json!({ "roleName": namespace.name(), "audience": "vault", "objects": objects });
    namespace.class("db", parameters).await;
    namespace
}

async fn a_token_is_minted_where_none_is_sent(site: Arc<ClusterWithVault>, generation: Generation) {
    let node = site.node(generation);
    let namespace = prepare(&site, "minted").await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;
    assert_eq!(volume.read("f").as_deref(), Some("v"));

    // A class without `audience`: the token is for kube-apiserver itself, as the incumbent's is.
    let role = format!("{}-default", namespace.name());
    site.grant(&namespace, "app", &role, None).await;
    let objects = namespace.objects("db", &[("f", "k")]);
    namespace.class("default", json!({ "roleName": role, "objects": objects })).await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "default").await).await;
    assert_eq!(volume.read("f").as_deref(), Some("v"));
}

async fn without_the_right_to_mint(site: Arc<ClusterWithVault>, generation: Generation) {
    let node = site.node(generation);
    let namespace = prepare(&site, "unminted").await;
    // The key is held before: its rights are not what this is about.
    node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;

    take_away(&site, ["clusterrole", "coffer-csi"], "[]").await;
    let refusal = refused(node, &namespace).await;
    let account = format!("{}/app", namespace.name());
    assert!(
        refusal.names(&["\"create\"", "\"serviceaccounts/token\"", &account, "tokenRequests"]),
        "{refusal:?}"
    );
    give_back(&site, node, &namespace).await;
}

/// kube-apiserver binds a token to a pod that is there with that uid, and to no other.
async fn a_minted_token_is_bound_to_the_pod(site: Arc<ClusterWithVault>) {
    let node = site.node(Generation::V1_6);
    let namespace = prepare(&site, "bound").await;
    let pod = namespace.pod(node, "app", "db").await;
    let call = |pod: &Pod| {
        let call = MountCall::new(pod).param("roleName", namespace.name()).param("audience", "vault");
        call.objects(&namespace.objects("db", &[("f", "k")]))
    };
    assert_eq!(node.csi.mount(&call(&pod)).await.unwrap().text("f"), "v");

    let of_another_life = Pod { uid: "6f1c2d3e-0000-4000-8000-000000000000".to_owned(), ..pod.clone() };
    let never_made = Pod { name: "never-made".to_owned(), ..pod };
    for stranger in [of_another_life, never_made] {
        let refusal = node.csi.mount(&call(&stranger)).await.unwrap_err();
        assert!(refusal.names(&["kube-apiserver answered", &stranger.name, "Check that"]), "{refusal:?}");
    }
}

async fn without_the_right_to_read_the_key(site: Arc<ClusterWithVault>) {
    without_a_rule_of_the_key(&site, 0, &["cannot get resource", "\"get\""]).await;
}

async fn without_the_right_to_make_the_key(site: Arc<ClusterWithVault>) {
    site.cluster
        .kubectl()
        .run(["delete", "secret", "--ignore-not-found", "-n", COFFER_NAMESPACE, KEY_SECRET])
        .await;
    without_a_rule_of_the_key(&site, 1, &["cannot create resource", "\"create\""]).await;
}

/// A provider that holds no key yet needs both rules: takes away the one of that number.
async fn without_a_rule_of_the_key(site: &ClusterWithVault, rule: usize, named: &[&str]) {
    let mut node = Node::start(Generation::V1_6, &site.cluster, site.bao.address()).await;
    let namespace = prepare(site, "keyless").await;
    let patch = format!("[{{\"op\": \"remove\", \"path\": \"/rules/{rule}\"}}]");
    patch_role(site, &patch).await;
    let refusal = refused(&mut node, &namespace).await;
    assert!(refusal.names(&["secrets", COFFER_NAMESPACE]) && refusal.names(named), "{refusal:?}");
    give_back(site, &node, &namespace).await;
}

/// Asks kube-apiserver, which answers as it would decide.
async fn nothing_else_is_allowed(site: Arc<ClusterWithVault>) {
    let reviews: Api<SubjectAccessReview> = Api::all(site.cluster.client().clone());
    let allowed = async |verb: &str, resource: &str, name: &str, namespace: &str| {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let text = |text: &str| Some(text.to_owned());
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(format!("system:serviceaccount:{COFFER_NAMESPACE}:coffer-csi")),
                groups: Some(vec!["system:serviceaccounts".to_owned(), "system:authenticated".to_owned()]),
                resource_attributes: Some(ResourceAttributes {
                    verb: text(verb),
                    resource: text(resource),
                    subresource: text(subresource),
                    name: text(name),
                    namespace: text(namespace),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
    };
    for (verb, resource, name, namespace) in [
        ("get", "secrets", KEY_SECRET, COFFER_NAMESPACE),
        ("create", "secrets", "", COFFER_NAMESPACE),
        ("create", "serviceaccounts/token", "app", "anywhere"),
    ] {
        assert!(allowed(verb, resource, name, namespace).await, "{verb} {resource} {namespace}/{name}");
    }
    let elsewhere = [("get", "secrets", KEY_SECRET, "default"), ("create", "secrets", "", "default")];
    let own = ["list", "watch", "update", "patch", "delete"]
        .map(|verb| (verb, "secrets", KEY_SECRET, COFFER_NAMESPACE));
    let others = [
        ("get", "secrets", "another", COFFER_NAMESPACE),
        ("get", "serviceaccounts", "app", "anywhere"),
        ("get", "pods", "app", "anywhere"),
        ("create", "pods", "", COFFER_NAMESPACE),
        ("list", "secretproviderclasses", "", "anywhere"),
        ("create", "events", "", "anywhere"),
    ];
    for (verb, resource, name, namespace) in elsewhere.into_iter().chain(own).chain(others) {
        assert!(!allowed(verb, resource, name, namespace).await, "{verb} {resource} {namespace}/{name}");
    }
}

/// The refusal of a new pod's mount, once kube-apiserver has taken notice of what was taken away.
async fn refused(node: &Node, namespace: &Namespace) -> Refusal {
    until("a mount to be refused", async || {
        let volume = node.kubelet.volume(&namespace.pod(node, "app", "db").await).await;
        node.kubelet.publish(&volume).await.err()
    })
    .await
}

async fn take_away(site: &ClusterWithVault, object: [&str; 2], rules: &str) {
    let patch = format!("{{\"rules\": {rules}}}");
    site.cluster.kubectl().run(["patch", object[0], object[1], "--type=merge", "--patch", &patch]).await;
}

async fn patch_role(site: &ClusterWithVault, patch: &str) {
    let arguments = ["patch", "role", "coffer-csi", "-n", COFFER_NAMESPACE, "--type=json", "--patch", patch];
    site.cluster.kubectl().run(arguments).await;
}

/// Applies what is shipped again, and waits until mounts succeed again by themselves.
async fn give_back(site: &ClusterWithVault, node: &Node, namespace: &Namespace) {
    site.cluster.kubectl().apply([shipped_rbac()]).await;
    until("a mount to succeed", async || {
        let volume = node.kubelet.volume(&namespace.pod(node, "app", "db").await).await;
        node.kubelet.publish(&volume).await.ok()
    })
    .await;
}
