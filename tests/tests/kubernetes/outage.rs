//! Outages of kube-apiserver and of the provider itself.

use std::sync::Arc;

use coffer_tests::kubernetes::{ClusterWithVault, CsiNode, DriverGeneration, Namespace, PodVolume};
use coffer_tests::{Csi, MountCall, Relay, RelayClose, Suite, until, until_true};
use reqwest::Method;
use serde_json::json;

pub(crate) fn tests(suite: Suite<ClusterWithVault>) -> Suite<ClusterWithVault> {
    suite
        .on_each_driver("the_driver_finds_a_restarted_provider", the_driver_finds_a_restarted_provider)
        .on_each_driver("a_known_pod_rotates_while_kube_apiserver_is_down", a_known_pod_rotates)
        .mounting("new_pods_while_kube_apiserver_is_killed", new_pods_while_kube_apiserver_is_killed)
        .mounting("new_pods_while_kube_apiserver_is_frozen", new_pods_while_kube_apiserver_is_frozen)
        .mounting("new_pods_whose_connection_to_kube_apiserver_is_dead", new_pods_over_dead_connections)
}

/// Creates a namespace with the class `db` over one key of the secret `db`.
async fn prepare(setup: &ClusterWithVault, name: &str) -> Namespace {
    let namespace = setup.namespace(name).await;
    put(setup, &namespace, "old").await;
    let objects = namespace.objects("db", &[("f", "k")]);
    namespace.class("db", json!({ "roleName": namespace.name(), "objects": objects })).await;
    namespace
}

async fn put(setup: &ClusterWithVault, namespace: &Namespace, value: &str) {
    setup.put(namespace, "db", json!({ "k": value })).await;
}

async fn the_driver_finds_a_restarted_provider(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let mut node = CsiNode::start(generation, &setup.cluster, setup.bao.address()).await;
    let namespace = prepare(&setup, "restart").await;
    let first = node.kubelet.mount(&namespace.pod(&node, "app", "db").await).await;
    let versions = namespace.versions(&first.pod, "db").await.unwrap();

    // A mount during the provider's restart waits for it.
    node.end_provider().await;
    let pod = namespace.pod(&node, "app", "db").await;
    let provider = node.provider(setup.bao.address());
    let (second, csi) = tokio::join!(node.kubelet.mount(&pod), provider.start());
    node.csi = csi;
    assert_eq!(second.read("f").as_deref(), Some("old"));
    assert_eq!(namespace.versions(&second.pod, "db").await.unwrap(), versions);

    // A killed provider leaves its socket behind.
    node.csi.kill();
    node.csi = node.provider(setup.bao.address()).start().await;
    let third = node.kubelet.mount(&namespace.pod(&node, "app", "db").await).await;
    assert_eq!(third.read("f").as_deref(), Some("old"));
}

async fn a_known_pod_rotates(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let namespace = prepare(&setup, "known").await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;
    // By now driver 1.5 has its own token as well.
    put(&setup, &namespace, "first").await;
    rotates_to(node, &volume, "first").await;
    let versions = namespace.versions(&volume.pod, "db").await.unwrap();

    setup.cluster.api_server().kill();
    put(&setup, &namespace, "second").await;
    rotates_to(node, &volume, "second").await;

    setup.cluster.api_server().start_again().await;
    put(&setup, &namespace, "third").await;
    rotates_to(node, &volume, "third").await;
    until("the status to be updated", async || {
        rotates_to(node, &volume, "third").await;
        namespace.versions(&volume.pod, "db").await.filter(|after| *after != versions)
    })
    .await;
}

async fn rotates_to(node: &CsiNode, volume: &PodVolume, value: &str) {
    until_true(&format!("the value {value:?}"), async || {
        if node.driver().generation() == DriverGeneration::V1_6 {
            node.kubelet.publish(volume).await.unwrap();
        }
        volume.read("f").as_deref() == Some(value)
    })
    .await;
}

/// Calls for new pods, with the tokens that kubelet requested before the outage of kube-apiserver.
struct NewPods {
    /// Vault checks the token's signature itself, without kube-apiserver.
    by_signature: MountCall,
    /// Vault has the token reviewed by kube-apiserver.
    reviewed: MountCall,
    /// The call carries no token: the provider requests one from kube-apiserver.
    minted: MountCall,
}

impl NewPods {
    /// Creates three pods, on a node whose provider has the HMAC key.
    async fn new(setup: &ClusterWithVault, node: &CsiNode) -> Self {
        let namespace = prepare(setup, "new").await;
        login_by_signature(setup, &namespace).await;
        let call = async || {
            let pod = namespace.pod(node, "app", "db").await;
            let token = node.kubelet.token(&pod, "vault").await.token.unwrap();
            let call = MountCall::new(&pod).param("roleName", namespace.name());
            (call.objects(&namespace.objects("db", &[("f", "k")])), token)
        };
        let ((by_signature, first), (reviewed, second), (minted, _)) =
            (call().await, call().await, call().await);
        node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;
        Self {
            by_signature: by_signature.param("vaultAuthMountPath", namespace.name()).token("vault", &first),
            reviewed: reviewed.token("vault", &second),
            minted: minted.param("audience", "vault"),
        }
    }

    async fn all_mount(&self, csi: &Csi) {
        for call in [&self.by_signature, &self.reviewed, &self.minted] {
            assert_eq!(csi.mount(call).await.unwrap().text("f"), "old");
        }
    }
}

async fn new_pods_while_kube_apiserver_is_killed(setup: Arc<ClusterWithVault>) {
    let (node, api_server) = (setup.node(DriverGeneration::V1_6), setup.cluster.api_server());
    let pods = NewPods::new(&setup, node).await;
    let dir = tempfile::tempdir().unwrap();
    let newcomer = node.provider(setup.bao.address()).socket(&dir.path().join("vault.sock")).start().await;

    api_server.kill();
    assert_eq!(node.csi.mount(&pods.by_signature).await.unwrap().text("f"), "old");
    for (csi, call, named) in [
        (&node.csi, &pods.reviewed, ["login", "auth/kubernetes", "Vault says"]),
        (&node.csi, &pods.minted, ["no token", "kube-apiserver cannot be reached", "tokenRequests"]),
        (
            &newcomer,
            &pods.by_signature,
            ["no key for the versions", "kube-apiserver cannot be reached", "Secret"],
        ),
    ] {
        let refusal = csi.mount(call).await.unwrap_err();
        assert!(refusal.names(&named), "{refusal:?}");
    }

    api_server.start_again().await;
    pods.all_mount(&node.csi).await;
    pods.all_mount(&newcomer).await;
}

/// kube-apiserver accepts connections and never answers. Vault would wait a minute for a review, so
/// that call is left out.
async fn new_pods_while_kube_apiserver_is_frozen(setup: Arc<ClusterWithVault>) {
    let (node, api_server) = (setup.node(DriverGeneration::V1_6), setup.cluster.api_server());
    let pods = NewPods::new(&setup, node).await;

    api_server.freeze();
    assert_eq!(node.csi.mount(&pods.by_signature).await.unwrap().text("f"), "old");
    let refusal = node.csi.mount(&pods.minted).await.unwrap_err();
    assert!(refusal.names(&["no token", "kube-apiserver", "tokenRequests"]), "{refusal:?}");

    api_server.thaw().await;
    pods.all_mount(&node.csi).await;
}

/// Calls to kube-apiserver meet connections that went dark, or that close as the call is made.
async fn new_pods_over_dead_connections(setup: Arc<ClusterWithVault>) {
    let node = setup.node(DriverGeneration::V1_6);
    let namespace = prepare(&setup, "dead").await;
    let mut kubeconfig = setup.cluster.coffer_kubeconfig().await;
    let relay = Relay::start(&kubeconfig.server).await;
    relay.address().clone_into(&mut kubeconfig.server);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kubeconfig");
    kubeconfig.write(&path);
    let options = node.provider(setup.bao.address()).env("KUBECONFIG", path);
    let csi = options.socket(&dir.path().join("vault.sock")).start().await;
    // Each mount is that of a new pod, whose token the provider requests.
    let mount = async || {
        let pod = namespace.pod(node, "app", "db").await;
        let call = MountCall::new(&pod).param("roleName", namespace.name()).param("audience", "vault");
        csi.mount(&call.objects(&namespace.objects("db", &[("f", "k")]))).await
    };
    assert_eq!(mount().await.unwrap().text("f"), "old");
    for how in [RelayClose::Fin, RelayClose::Reset] {
        let before = relay.closed();
        relay.close_at_next_request(how);
        let mounted = mount().await.unwrap_or_else(|refusal| panic!("{how:?}: {refusal:?}"));
        assert_eq!(mounted.text("f"), "old");
        assert!(relay.closed() > before, "{how:?}");
    }
    let before = relay.connections();
    relay.go_dark();
    assert_eq!(mount().await.unwrap().text("f"), "old");
    assert!(relay.connections() > before);
}

/// Enables a login at `auth/NAMESPACE` for which Vault checks the tokens' signature itself.
async fn login_by_signature(setup: &ClusterWithVault, namespace: &Namespace) {
    let mount = namespace.name();
    setup.bao.admin(Method::POST, &format!("sys/auth/{mount}"), json!({ "type": "jwt" })).await;
    let keys = json!({ "jwt_validation_pubkeys": [setup.cluster.api_server().token_public_key()] });
    setup.bao.admin(Method::POST, &format!("auth/{mount}/config"), keys).await;
    let role = json!({
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": ["vault"],
        "bound_subject": format!("system:serviceaccount:{mount}:app"),
        "token_policies": [mount],
    });
    setup.bao.admin(Method::POST, &format!("auth/{mount}/role/{mount}"), role).await;
}
