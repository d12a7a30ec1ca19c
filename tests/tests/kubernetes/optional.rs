//! Optional objects through the real drivers: alone, beside others, and the last file of a volume.

use std::sync::Arc;

use coffer_tests::Suite;
use coffer_tests::kubernetes::{ClusterWithVault, DriverGeneration, Namespace, PodVolume};
use serde_json::{Value, json};

use crate::rotation::{rejected, rotated};

pub(crate) fn tests(suite: Suite<ClusterWithVault>) -> Suite<ClusterWithVault> {
    suite
        .on_each_driver("an_object_appears_and_vanishes", an_object_appears_and_vanishes)
        .on_each_driver("a_pod_starts_without_any_file", a_pod_starts_without_any_file)
        .on_each_driver("the_last_file_stays", the_last_file_stays)
}

/// Creates a namespace with a class `db` of these objects over the secrets `db` and `feature`.
async fn prepare(setup: &ClusterWithVault, name: &str, objects: &[Value]) -> Namespace {
    let namespace = setup.namespace(name).await;
    let objects: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut object = object.clone();
            let path = object["secretPath"].as_str().unwrap();
            object["secretPath"] = json!(format!("secret/data/{}/{path}", namespace.name()));
            object
        })
        .collect();
    let parameters = json!({ "roleName": namespace.name(), "objects": json!(objects).to_string() });
    namespace.class("db", parameters).await;
    namespace
}

fn optional_feature() -> Value {
    json!({ "objectName": "feature", "secretPath": "feature", "secretKey": "k", "optional": true })
}

async fn delete(setup: &ClusterWithVault, namespace: &Namespace, secret: &str) {
    setup.bao.kv_delete(&format!("{}/{secret}", namespace.name())).await;
}

/// Returns the names in a volume, without the driver's own.
fn names(volume: &PodVolume) -> Vec<String> {
    let entries = std::fs::read_dir(volume.target()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with(".."));
    names.sort();
    names
}

async fn an_object_appears_and_vanishes(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let user = json!({ "objectName": "user", "secretPath": "db", "secretKey": "user" });
    let key = json!({ "objectName": "key", "secretPath": "db", "secretKey": "key", "optional": true });
    let namespace = prepare(&setup, "appears", &[optional_feature(), user, key]).await;
    setup.put(&namespace, "db", json!({ "user": "u" })).await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;
    let ids = async || namespace.versions(&volume.pod, "db").await.unwrap().into_keys().collect::<Vec<_>>();
    assert_eq!((names(&volume), ids().await), (vec!["user".to_owned()], vec!["user".to_owned()]));

    setup.put(&namespace, "feature", json!({ "k": "on" })).await;
    setup.put(&namespace, "db", json!({ "user": "u", "key": "k" })).await;
    rotated(node, &volume, "all objects", async || ids().await == ["feature", "key", "user"]).await;
    assert_eq!(names(&volume), ["feature", "key", "user"]);
    assert_eq!(volume.read("feature").as_deref(), Some("on"));

    delete(&setup, &namespace, "feature").await;
    setup.put(&namespace, "db", json!({ "user": "v" })).await;
    rotated(node, &volume, "no optional object", async || ids().await == ["user"]).await;
    assert_eq!(names(&volume), ["user"]);
    assert_eq!(volume.read("user").as_deref(), Some("v"));
}

async fn a_pod_starts_without_any_file(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let files = json!({ "objectName": ".", "secretPath": "keys", "format": "files", "optional": true });
    let namespace = prepare(&setup, "no-file", &[files, optional_feature()]).await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;
    let versions = async || namespace.versions(&volume.pod, "db").await.unwrap();
    assert_eq!(names(&volume), Vec::<String>::new());
    assert_eq!(versions().await, [(".".to_owned(), "no-files".to_owned())].into());

    // it stays without files while Vault has nothing
    let path = format!("secret/data/{}/feature", namespace.name());
    let reads = || setup.bao.requests_to(&path);
    let before = reads();
    rotated(node, &volume, "three more reads", async || reads() > before + 3).await;
    assert_eq!(versions().await, [(".".to_owned(), "no-files".to_owned())].into());

    setup.put(&namespace, "feature", json!({ "k": "on" })).await;
    rotated(node, &volume, "the first file", async || names(&volume) == ["feature"]).await;
    rotated(node, &volume, "its version", async || versions().await.keys().eq(["feature"])).await;
    setup.put(&namespace, "keys", json!({ "a": "1" })).await;
    delete(&setup, &namespace, "feature").await;
    rotated(node, &volume, "the other file", async || names(&volume) == ["a"]).await;
}

async fn the_last_file_stays(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let namespace = prepare(&setup, "last-file", &[optional_feature()]).await;
    setup.put(&namespace, "feature", json!({ "k": "on" })).await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;
    let versions = async || namespace.versions(&volume.pod, "db").await.unwrap();
    let before = versions().await;

    delete(&setup, &namespace, "feature").await;
    rejected(node, &namespace, &volume, "every object is optional, and none is in Vault any more").await;
    assert_eq!(volume.read("feature").as_deref(), Some("on"));
    assert_eq!(versions().await, before);
    let log = node.csi.log();
    assert!(
        log.lines().any(|line| line.contains("mount failed") && line.contains(namespace.name())),
        "{log}"
    );

    setup.put(&namespace, "feature", json!({ "k": "again" })).await;
    rotated(node, &volume, "the key that came back", async || {
        volume.read("feature").as_deref() == Some("again")
    })
    .await;
    rotated(node, &volume, "its version", async || versions().await["feature"] != before["feature"]).await;
}
