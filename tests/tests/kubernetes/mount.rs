//! Mounts through the real driver, for pods of a real cluster whose tokens kube-apiserver reviews
//! for Vault.

use std::collections::BTreeSet;
use std::sync::Arc;

use coffer_proto::v1alpha1::csi_driver_provider_server::{CsiDriverProvider, CsiDriverProviderServer};
use coffer_proto::v1alpha1::{
    File, MountRequest, MountResponse, ObjectVersion, VersionRequest, VersionResponse,
};
use coffer_tests::kubernetes::{ClusterWithVault, CsiNode, DriverGeneration, KubernetesRole};
use coffer_tests::{Csi, Suite};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tonic::codegen::tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, async_trait};

pub(crate) fn tests(suite: Suite<ClusterWithVault>) -> Suite<ClusterWithVault> {
    suite
        .on_each_driver("contents_modes_paths_and_versions_arrive", contents_modes_paths_and_versions_arrive)
        .on_each_driver("the_driver_s_tokens_suffice", the_driver_s_tokens_suffice)
        .on_each_driver("no_account_gets_what_another_may_read", no_account_gets_what_another_may_read)
        .on_each_driver("a_role_of_another_namespace_is_refused", a_role_of_another_namespace_is_refused)
        .on_each_driver("a_stock_server_serves_only_new_drivers", a_stock_server_serves_only_new_drivers)
}

async fn contents_modes_paths_and_versions_arrive(
    setup: Arc<ClusterWithVault>,
    generation: DriverGeneration,
) {
    let node = setup.node(generation);
    let namespace = setup.namespace("layout").await;
    setup.put(&namespace, "db", json!({ "username": "shop", "password": "s3cret" })).await;
    let path = format!("secret/data/{}/db", namespace.name());
    let objects = format!(
        "- {{objectName: username, secretPath: {path}, secretKey: username}}\n\
         - {{objectName: db/primary/password, secretPath: {path}, secretKey: password, filePermission: 0400}}"
    );
    namespace.class("db", json!({ "roleName": namespace.name(), "objects": objects })).await;
    let pod = namespace.pod(node, "app", "db").await;

    let volume = node.kubelet.mount(&pod).await;
    assert_eq!(volume.read("username").as_deref(), Some("shop"));
    assert_eq!(volume.read("db/primary/password").as_deref(), Some("s3cret"));
    assert_eq!((volume.mode("username"), volume.mode("db/primary/password")), (0o644, 0o400));
    // The layout that changes all files at once.
    assert_eq!(volume.link("username"), "..data/username");
    assert_eq!(volume.link("db"), "..data/db");
    assert!(volume.link("..data").starts_with(".."), "{}", volume.link("..data"));

    let versions = namespace.versions(&pod, "db").await.expect("a status of the mounted pod");
    let ids: Vec<_> = versions.keys().map(String::as_str).collect();
    assert_eq!(ids, ["db/primary/password", "username"]);
    let distinct: BTreeSet<_> = versions.values().collect();
    assert_eq!(distinct.len(), 2, "{versions:?}");
    assert!(versions.values().all(|version| version.len() == 44), "{versions:?}");

    node.kubelet.unmount(&volume).await;
    assert!(!volume.target().exists());
}

/// With the tokens of the CSIDriver's `tokenRequests`, a provider without access to kube-apiserver
/// can log in.
async fn the_driver_s_tokens_suffice(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let mut node = CsiNode::start(generation, &setup.cluster, setup.bao.address()).await;
    node.end_provider().await;
    let socket = node.socket("vault");
    node.csi =
        Csi::options().socket(&socket).flag(format!("-vault-addr={}", setup.bao.address())).start().await;

    let namespace = setup.namespace("tokens").await;
    setup.put(&namespace, "db", json!({ "k": "v" })).await;
    let objects = namespace.objects("db", &[("f", "k")]);
    namespace.class("db", json!({ "roleName": namespace.name(), "objects": objects })).await;
    let volume = node.kubelet.mount(&namespace.pod(&node, "app", "db").await).await;
    assert_eq!(volume.read("f").as_deref(), Some("v"));
}

/// Two accounts log in with one role, and Vault's policy distinguishes them by their tokens'
/// metadata.
async fn no_account_gets_what_another_may_read(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let namespace = setup.cluster.namespace("accounts").await;
    let role = namespace.name();
    let logins = setup.bao.admin(Method::GET, "sys/auth", Value::Null).await;
    let account = format!(
        "{{{{identity.entity.aliases.{}.metadata.service_account_name}}}}",
        logins["data"]["kubernetes/"]["accessor"].as_str().unwrap()
    );
    let rules = format!("path \"secret/data/{role}/{account}\" {{ capabilities = [\"read\"] }}");
    setup.bao.policy(role, &rules).await;
    let role =
        KubernetesRole { name: role, account: "*", namespace: role, audience: Some("vault"), policy: role };
    setup.bao.kubernetes_role("kubernetes", &role).await;
    for account in ["ann", "bob"] {
        namespace.account(account).await;
        setup.put(&namespace, account, json!({ "k": format!("{account}'s") })).await;
        let objects = namespace.objects(account, &[("f", "k")]);
        namespace.class(account, json!({ "roleName": role.name, "objects": objects })).await;
    }

    let mount = async |account: &str, class: &str| {
        let pod = namespace.pod(node, account, class).await;
        let volume = node.kubelet.volume(&pod).await;
        // Several times, like republishes, while the other account mounts too.
        for _ in 0..3 {
            let published = node.kubelet.publish(&volume).await;
            if account == class {
                published.unwrap();
                assert_eq!(volume.read("f"), Some(format!("{account}'s")));
            } else {
                let refusal = published.unwrap_err();
                assert!(refusal.names(&["permission denied"]), "{account} reads {class}'s: {refusal:?}");
                assert_eq!(volume.read("f"), None);
            }
        }
    };
    let pairs = [("ann", "ann"), ("bob", "ann"), ("bob", "bob"), ("ann", "bob")];
    join_all(pairs.iter().cycle().take(12).map(|(account, class)| mount(account, class))).await;
}

async fn a_role_of_another_namespace_is_refused(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let (owner, stranger) = (setup.namespace("owner").await, setup.namespace("stranger").await);
    setup.put(&owner, "db", json!({ "k": "v" })).await;
    let objects = owner.objects("db", &[("f", "k")]);
    stranger.class("db", json!({ "roleName": owner.name(), "objects": objects })).await;
    let pod = stranger.pod(node, "app", "db").await;

    let refusal = node.kubelet.refused(&pod).await;
    let event = stranger.event(&pod, "FailedMount").await;
    for part in
        [owner.name(), "auth/kubernetes", "namespace not authorized", &format!("{}/app", stranger.name())]
    {
        assert!(event.contains(part), "no {part:?} in {event:?}");
    }
    assert!(event.contains(&refusal.message), "{event:?}\n{refusal:?}");
}

/// The reason for the filter on the provider's socket: gRPC for Rust refuses the `:authority` of
/// drivers up to 1.5. If this test fails, the filter is no longer needed.
async fn a_stock_server_serves_only_new_drivers(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let namespace = setup.namespace("stock").await;
    let listener = UnixListener::bind(node.socket("stock")).unwrap();
    let stock = Server::builder().add_service(CsiDriverProviderServer::new(StockProvider));
    let serving = tokio::spawn(stock.serve_with_incoming(UnixListenerStream::new(listener)));

    namespace.class_of("stock", json!({ "provider": "stock", "parameters": { "any": "thing" } })).await;
    let volume = node.kubelet.volume(&namespace.pod(node, "app", "stock").await).await;
    let published = node.kubelet.publish(&volume).await;
    match generation {
        DriverGeneration::V1_5 => {
            let refusal = published.unwrap_err();
            assert!(refusal.names(&["PROTOCOL_ERROR"]), "{refusal:?}");
        }
        DriverGeneration::V1_6 => {
            published.unwrap();
            assert_eq!(volume.read("f").as_deref(), Some("stock"));
        }
    }
    serving.abort();
}

/// The provider contract, served by tonic without the filter.
struct StockProvider;

#[async_trait]
impl CsiDriverProvider for StockProvider {
    async fn version(&self, _: Request<VersionRequest>) -> Result<Response<VersionResponse>, Status> {
        Ok(Response::new(VersionResponse { version: "v1alpha1".to_owned(), ..VersionResponse::default() }))
    }

    async fn mount(&self, _: Request<MountRequest>) -> Result<Response<MountResponse>, Status> {
        let file = File { path: "f".to_owned(), mode: 0o644, contents: b"stock".to_vec() };
        let version = ObjectVersion { id: "f".to_owned(), version: "1".to_owned() };
        Ok(Response::new(MountResponse { object_version: vec![version], files: vec![file], error: None }))
    }
}
