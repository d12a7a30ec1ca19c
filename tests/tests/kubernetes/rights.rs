//! The shipped rights suffice to request a token where the driver passes none, and allow nothing
//! else. An error names each missing right.

use std::sync::Arc;

use coffer_tests::kubernetes::{
    COFFER_NAMESPACE, ClusterWithVault, CsiNode, DriverGeneration, Namespace, shipped_rbac,
};
use coffer_tests::{MountCall, Suite, TestPod, until_true};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

const KEY_SECRET: &str = "vault-csi-provider-hmac-key";

pub(crate) fn tests(suite: Suite<ClusterWithVault>) -> Suite<ClusterWithVault> {
    suite
        .on_each_driver("a_token_is_minted_where_none_is_sent", a_token_is_minted_where_none_is_sent)
        .on_each_driver("without_the_right_to_mint_the_error_names_it", without_the_right_to_mint)
        .test("a_minted_token_is_bound_to_the_pod", a_minted_token_is_bound_to_the_pod)
        .mounting("without_the_right_to_read_the_key_the_error_names_it", without_the_right_to_read_the_key)
        .mounting("without_the_right_to_make_the_key_the_error_names_it", without_the_right_to_make_the_key)
        .test("nothing_else_is_allowed", nothing_else_is_allowed)
}

/// Creates a namespace with the class `db`, for audience `vault`.
async fn prepare(setup: &ClusterWithVault, name: &str) -> Namespace {
    let namespace = setup.namespace(name).await;
    setup.put(&namespace, "db", json!({ "k": "v" })).await;
    let objects = namespace.objects("db", &[("f", "k")]);
    let parameters = json!({ "roleName": namespace.name(), "audience": "vault", "objects": objects });
    namespace.class("db", parameters).await;
    namespace
}

async fn a_token_is_minted_where_none_is_sent(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let namespace = prepare(&setup, "minted").await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;
    assert_eq!(volume.read("f").as_deref(), Some("v"));

    // Without `audience` in the class the token is for kube-apiserver itself, as with HashiCorp's
    // provider.
    let role = format!("{}-default", namespace.name());
    setup.grant(&namespace, "app", &role, None).await;
    let objects = namespace.objects("db", &[("f", "k")]);
    namespace.class("default", json!({ "roleName": role, "objects": objects })).await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "default").await).await;
    assert_eq!(volume.read("f").as_deref(), Some("v"));
}

async fn without_the_right_to_mint(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let namespace = prepare(&setup, "unminted").await;
    // This mount reads the HMAC key, so that later mounts need no right to it.
    node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;

    take_away(&setup, &["clusterrole", "coffer-csi"], MINT).await;
    let pod = namespace.pod(node, "app", "db").await;
    let refusal = node.kubelet.refused(&pod).await;
    let account = format!("{}/app", namespace.name());
    let named = ["\"create\"", "\"serviceaccounts/token\"", &account, "tokenRequests"];
    assert!(refusal.names(&named), "{refusal:?}");
    give_back(&setup, MINT).await;
    node.kubelet.mount(&pod).await;
}

/// kube-apiserver binds a token only to an existing pod with that uid.
async fn a_minted_token_is_bound_to_the_pod(setup: Arc<ClusterWithVault>) {
    let node = setup.node(DriverGeneration::V1_6);
    let namespace = prepare(&setup, "bound").await;
    let pod = namespace.pod(node, "app", "db").await;
    let call = |pod: &TestPod| {
        let call = MountCall::new(pod).param("roleName", namespace.name()).param("audience", "vault");
        call.objects(&namespace.objects("db", &[("f", "k")]))
    };
    assert_eq!(node.csi.mount(&call(&pod)).await.unwrap().text("f"), "v");

    let of_another_life = TestPod { uid: "6f1c2d3e-0000-4000-8000-000000000000".to_owned(), ..pod.clone() };
    let never_made = TestPod { name: "never-made".to_owned(), ..pod };
    for stranger in [of_another_life, never_made] {
        let refusal = node.csi.mount(&call(&stranger)).await.unwrap_err();
        assert!(refusal.names(&["kube-apiserver answered", &stranger.name, "Check that"]), "{refusal:?}");
    }
}

async fn without_the_right_to_read_the_key(setup: Arc<ClusterWithVault>) {
    without_a_right_to_the_key(&setup, READ, &["cannot get resource", "\"get\""]).await;
}

async fn without_the_right_to_make_the_key(setup: Arc<ClusterWithVault>) {
    let secret = ["delete", "secret", "--ignore-not-found", "-n", COFFER_NAMESPACE, KEY_SECRET];
    setup.cluster.kubectl().run(secret).await;
    without_a_right_to_the_key(&setup, MAKE, &["cannot create resource", "\"create\""]).await;
}

/// Checks a provider that has no HMAC key yet.
async fn without_a_right_to_the_key(setup: &ClusterWithVault, right: AccessRight, named: &[&str]) {
    let node = CsiNode::start(DriverGeneration::V1_6, &setup.cluster, setup.bao.address()).await;
    let namespace = prepare(setup, "keyless").await;
    let pod = namespace.pod(&node, "app", "db").await;
    take_away(setup, &["role", "coffer-csi", "-n", COFFER_NAMESPACE], right).await;
    let refusal = node.kubelet.refused(&pod).await;
    assert!(refusal.names(&["secrets", COFFER_NAMESPACE]) && refusal.names(named), "{refusal:?}");
    give_back(setup, right).await;
    node.kubelet.mount(&pod).await;
}

async fn nothing_else_is_allowed(setup: Arc<ClusterWithVault>) {
    for right in [MINT, READ, MAKE] {
        assert!(is_allowed(&setup, right).await, "{right:?}");
    }
    let right = |verb, resource, name, namespace| AccessRight { verb, resource, name, namespace };
    let own = ["list", "watch", "update", "patch", "delete"].map(|verb| AccessRight { verb, ..READ });
    let others = [
        right("get", "secrets", KEY_SECRET, "default"),
        right("create", "secrets", "", "default"),
        right("get", "secrets", "another", COFFER_NAMESPACE),
        right("get", "serviceaccounts", "app", "anywhere"),
        right("get", "pods", "app", "anywhere"),
        right("create", "pods", "", COFFER_NAMESPACE),
        right("list", "secretproviderclasses", "", "anywhere"),
        right("create", "events", "", "anywhere"),
    ];
    for right in own.into_iter().chain(others) {
        assert!(!is_allowed(&setup, right).await, "{right:?}");
    }
}

/// A right of coffer-csi.
#[derive(Clone, Copy, Debug)]
struct AccessRight {
    verb: &'static str,
    resource: &'static str,
    name: &'static str,
    namespace: &'static str,
}

const MINT: AccessRight =
    AccessRight { verb: "create", resource: "serviceaccounts/token", name: "app", namespace: "anywhere" };
const READ: AccessRight =
    AccessRight { verb: "get", resource: "secrets", name: KEY_SECRET, namespace: COFFER_NAMESPACE };
const MAKE: AccessRight =
    AccessRight { verb: "create", resource: "secrets", name: "", namespace: COFFER_NAMESPACE };

/// Asks kube-apiserver whether coffer-csi has a right.
async fn is_allowed(setup: &ClusterWithVault, right: AccessRight) -> bool {
    let (resource, subresource) = right.resource.split_once('/').unwrap_or((right.resource, ""));
    let text = |text: &str| Some(text.to_owned());
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!("system:serviceaccount:{COFFER_NAMESPACE}:coffer-csi")),
            groups: Some(vec!["system:serviceaccounts".to_owned(), "system:authenticated".to_owned()]),
            resource_attributes: Some(ResourceAttributes {
                group: text(group(resource)),
                verb: text(right.verb),
                resource: text(resource),
                subresource: text(subresource),
                name: text(right.name),
                namespace: text(right.namespace),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(setup.cluster.client().clone());
    reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

fn group(resource: &str) -> &'static str {
    if resource.starts_with("secretprovider") { "secrets-store.csi.x-k8s.io" } else { "" }
}

/// Removes the rule that gives a right from a role, and waits until the change is effective.
async fn take_away(setup: &ClusterWithVault, role: &[&str], right: AccessRight) {
    let kubectl = setup.cluster.kubectl();
    let shown = kubectl.run(["get"].iter().chain(role).chain(&["-o", "json"])).await;
    let mut shown: Value = serde_json::from_str(&shown).unwrap();
    let rules = shown["rules"].as_array_mut().unwrap();
    let before = rules.len();
    rules.retain(|rule| rule["resources"] != json!([right.resource]) || rule["verbs"] != json!([right.verb]));
    assert_eq!(rules.len(), before - 1, "one rule grants one right");
    let patch = json!({ "rules": rules }).to_string();
    kubectl.run(["patch", "--type=merge", "--patch", &patch].iter().chain(role)).await;
    until_true("the right to be removed", async || !is_allowed(setup, right).await).await;
}

/// Applies the shipped RBAC again, and waits until it is effective.
async fn give_back(setup: &ClusterWithVault, right: AccessRight) {
    setup.cluster.kubectl().apply([shipped_rbac()]).await;
    until_true("the right to be restored", async || is_allowed(setup, right).await).await;
}
