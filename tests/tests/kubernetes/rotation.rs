//! Rotation: driver 1.5 rotates by itself, driver 1.6 when kubelet publishes again.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use coffer_tests::kubernetes::{ClusterWithVault, CsiNode, DriverGeneration, Namespace, PodVolume};
use coffer_tests::{Suite, until_true};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) fn tests(suite: Suite<ClusterWithVault>) -> Suite<ClusterWithVault> {
    suite
        .on_each_driver(
            "a_changed_secret_reaches_file_and_version",
            a_changed_secret_reaches_file_and_version,
        )
        .on_each_driver("an_unchanged_secret_changes_nothing", an_unchanged_secret_changes_nothing)
        .on_each_driver("a_failed_refresh_leaves_the_old_file", a_failed_refresh_leaves_the_old_file)
        .on_each_driver("a_core_secret_follows", a_core_secret_follows)
}

/// Creates a namespace with the secret `db`, and a class `db` with its two keys.
async fn prepare(setup: &ClusterWithVault, name: &str) -> Namespace {
    let namespace = setup.namespace(name).await;
    setup.put(&namespace, "db", json!({ "username": "shop", "password": "old" })).await;
    namespace.class("db", parameters(&namespace)).await;
    namespace
}

fn parameters(namespace: &Namespace) -> Value {
    let objects = namespace.objects("db", &[("username", "username"), ("password", "password")]);
    json!({ "roleName": namespace.name(), "objects": objects })
}

/// Waits for the result of a rotation; with driver 1.6, kubelet must publish again for it.
pub(crate) async fn rotated(
    node: &CsiNode,
    volume: &PodVolume,
    what: &str,
    mut probe: impl AsyncFnMut() -> bool,
) {
    until_true(what, async || {
        if node.driver().generation() == DriverGeneration::V1_6 {
            node.kubelet.publish(volume).await.unwrap();
        }
        probe().await
    })
    .await;
}

/// Waits for a rotation that fails with this message; with driver 1.6, kubelet must publish again
/// for it.
pub(crate) async fn rejected(node: &CsiNode, namespace: &Namespace, volume: &PodVolume, message: &str) {
    let what = format!("a rotation that fails with {message:?}");
    let failed = |line: &str| {
        line.contains("mount failed") && line.contains(namespace.name()) && line.contains(message)
    };
    until_true(&what, async || {
        if node.driver().generation() == DriverGeneration::V1_6 {
            // the driver hides the error of a volume that is mounted
            let _ = node.kubelet.publish(volume).await;
        }
        node.csi.log().lines().any(failed)
    })
    .await;
    if node.driver().generation() == DriverGeneration::V1_5 {
        let event = namespace.event(&volume.pod, "MountRotationFailed").await;
        assert!(event.contains(message), "{event:?}");
    }
}

async fn a_changed_secret_reaches_file_and_version(
    setup: Arc<ClusterWithVault>,
    generation: DriverGeneration,
) {
    let node = setup.node(generation);
    let namespace = prepare(&setup, "changed").await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;
    let before = namespace.versions(&volume.pod, "db").await.unwrap();

    setup.put(&namespace, "db", json!({ "username": "shop", "password": "new" })).await;
    rotated(node, &volume, "the new password", async || volume.read("password").as_deref() == Some("new"))
        .await;
    let versions = async || namespace.versions(&volume.pod, "db").await.unwrap();
    rotated(node, &volume, "another version", async || versions().await != before).await;
    let after = versions().await;
    assert_eq!(volume.read("username").as_deref(), Some("shop"));
    assert_eq!(after["username"], before["username"], "the other object's version stays");
    assert_ne!(after["password"], before["password"]);
}

async fn an_unchanged_secret_changes_nothing(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let namespace = prepare(&setup, "unchanged").await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;
    let state = async || {
        let status = namespace.status(&volume.pod, "db").await.unwrap();
        let file = std::fs::metadata(volume.target().join("password")).unwrap();
        (volume.link("..data"), file.ino(), file.mtime_nsec(), status.data["status"].clone())
    };
    let before = state().await;

    let path = format!("secret/data/{}/db", namespace.name());
    let reads = || setup.bao.requests_to(&path);
    assert_eq!(reads(), 1, "both objects share one read");
    rotated(node, &volume, "ten more reads", async || reads() > 10).await;
    assert_eq!(state().await, before);
    assert_eq!(
        setup
            .bao
            .requests()
            .iter()
            .filter(|r| r.path == path)
            .map(|r| &r.token)
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        1,
        "all reads share one login"
    );
}

async fn a_failed_refresh_leaves_the_old_file(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let namespace = prepare(&setup, "failing").await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;
    let before = namespace.versions(&volume.pod, "db").await.unwrap();

    let path = format!("secret/data/{}/db", namespace.name());
    setup.bao.admin(Method::DELETE, &path, Value::Null).await;
    let reads = setup.bao.requests_to(&path);
    rotated(node, &volume, "a failed read", async || setup.bao.requests_to(&path) > reads + 1).await;
    if generation == DriverGeneration::V1_5 {
        let event = namespace.event(&volume.pod, "MountRotationFailed").await;
        assert!(event.contains(&path) && event.contains("deleted"), "{event:?}");
    }
    assert_eq!(volume.read("password").as_deref(), Some("old"));
    assert_eq!(namespace.versions(&volume.pod, "db").await.unwrap(), before);

    setup.put(&namespace, "db", json!({ "username": "shop", "password": "new" })).await;
    rotated(node, &volume, "the new password", async || volume.read("password").as_deref() == Some("new"))
        .await;
}

async fn a_core_secret_follows(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let namespace = prepare(&setup, "synced").await;
    let spec = json!({
        "provider": "vault",
        "parameters": parameters(&namespace),
        "secretObjects": [{
            "secretName": "db-as-secret",
            "type": "Opaque",
            "data": [
                { "objectName": "username", "key": "user" },
                { "objectName": "password", "key": "pass" },
            ],
        }],
    });
    namespace.class_of("synced", spec).await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "synced").await).await;
    for password in ["old", "new"] {
        setup.put(&namespace, "db", json!({ "username": "shop", "password": password })).await;
        rotated(node, &volume, "the Secret with that password", async || {
            let secret = namespace.secret("db-as-secret").await.unwrap_or_default();
            assert!(secret.is_empty() || secret["user"] == "shop", "{secret:?}");
            secret.get("pass").is_some_and(|value| value == password)
        })
        .await;
    }
}
