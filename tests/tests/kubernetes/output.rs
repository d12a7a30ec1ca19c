//! Formats through the real drivers: files that come and go with the keys of a secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use coffer_tests::Suite;
use coffer_tests::kubernetes::{ClusterWithVault, DriverGeneration, Namespace, PodVolume};
use serde_json::{Value, json};

use crate::rotation::{rejected, rotated};

pub(crate) fn tests(suite: Suite<ClusterWithVault>) -> Suite<ClusterWithVault> {
    suite
        .on_each_driver("keys_become_files_in_root_and_directory", keys_become_files_in_root_and_directory)
        .on_each_driver("files_come_and_go_with_the_keys", files_come_and_go_with_the_keys)
        .on_each_driver("a_core_secret_names_files_of_keys", a_core_secret_names_files_of_keys)
        .on_each_driver("a_document_follows_its_secret", a_document_follows_its_secret)
        .on_each_driver("a_collision_at_rotation_changes_nothing", a_collision_at_rotation_changes_nothing)
}

/// Returns the parameters of a class that makes a file of each key of the secret `db`, in the root
/// and in `d/e` of all but `host`.
fn files_twice(namespace: &Namespace) -> Value {
    let path = format!("secret/data/{}/db", namespace.name());
    let objects = json!([
        { "objectName": ".", "secretPath": path, "format": "files" },
        { "objectName": "d/e", "secretPath": path, "format": "files", "filePermission": 0o400,
          "exclude": ["host"], "optional": true },
    ]);
    json!({ "roleName": namespace.name(), "objects": objects.to_string() })
}

/// Returns the paths and contents of all files in a volume.
fn contents(volume: &PodVolume) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut directories = vec![String::new()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(volume.target().join(&directory)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            if path.starts_with("..") {
                continue;
            }
            match volume.read(&path) {
                Some(text) => drop(found.insert(path, text)),
                None => directories.push(path),
            }
        }
    }
    found
}

fn expected(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

async fn keys_become_files_in_root_and_directory(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let namespace = setup.namespace("keys").await;
    setup.put(&namespace, "db", json!({ "host": "h", "pass word": "p", "port": 5432, "none": null })).await;
    namespace.class("db", files_twice(&namespace)).await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;
    let files =
        [("d/e/pass word", "p"), ("d/e/port", "5432"), ("host", "h"), ("pass word", "p"), ("port", "5432")];
    assert_eq!(contents(&volume), expected(&files));
    assert_eq!((volume.mode("port"), volume.mode("d/e/port")), (0o644, 0o400));
    let versions = namespace.versions(&volume.pod, "db").await.unwrap();
    assert_eq!(versions.keys().map(String::as_str).collect::<Vec<_>>(), files.map(|(path, _)| path));
    assert_eq!(setup.bao.requests_to(&format!("secret/data/{}/db", namespace.name())), 1);
}

async fn files_come_and_go_with_the_keys(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let namespace = setup.namespace("come-and-go").await;
    setup.put(&namespace, "db", json!({ "host": "h", "user": "u", "old": "o" })).await;
    namespace.class("db", files_twice(&namespace)).await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;
    let versions = async || namespace.versions(&volume.pod, "db").await.unwrap();
    let before = versions().await;
    for (secret, files) in [
        (
            json!({ "host": "h", "user": "u", "new": "n" }),
            &[("d/e/new", "n"), ("d/e/user", "u"), ("host", "h"), ("new", "n"), ("user", "u")][..],
        ),
        (json!({ "host": "h" }), &[("host", "h")]),
        (json!({ "host": "h", "user": "u" }), &[("d/e/user", "u"), ("host", "h"), ("user", "u")]),
    ] {
        setup.put(&namespace, "db", secret).await;
        rotated(node, &volume, "the files of the keys", async || contents(&volume) == expected(files)).await;
        let ids: Vec<_> = files.iter().map(|(path, _)| *path).collect();
        rotated(node, &volume, "the versions of the keys", async || {
            versions().await.keys().map(String::as_str).collect::<Vec<_>>() == ids
        })
        .await;
        let now = versions().await;
        for (path, version) in now.iter().filter(|(path, _)| before.contains_key(*path)) {
            assert_eq!(version, &before[path], "{path} has not changed");
        }
    }
}

async fn a_core_secret_names_files_of_keys(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let namespace = setup.namespace("synced-keys").await;
    setup.put(&namespace, "db", json!({ "host": "h", "user": "old" })).await;
    let spec = json!({
        "provider": "vault",
        "parameters": files_twice(&namespace),
        "secretObjects": [{
            "secretName": "keys",
            "type": "Opaque",
            "data": [
                { "objectName": "host", "key": "HOST" },
                { "objectName": "d/e/user", "key": "USER" },
            ],
        }],
    });
    namespace.class_of("synced", spec).await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "synced").await).await;
    for user in ["old", "new"] {
        setup.put(&namespace, "db", json!({ "host": "h", "user": user })).await;
        let wanted = expected(&[("HOST", "h"), ("USER", user)]);
        rotated(node, &volume, "the Secret of the files", async || {
            namespace.secret("keys").await.as_ref() == Some(&wanted)
        })
        .await;
    }
}

async fn a_document_follows_its_secret(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let namespace = setup.namespace("documents").await;
    setup.put(&namespace, "db", json!({ "HOST": "h", "_note": "x", "REPLICAS": "[\"r0\"]" })).await;
    let path = format!("secret/data/{}/db", namespace.name());
    let objects = json!([
        { "objectName": "app.env", "secretPath": path, "format": "dotenv", "exclude": ["_*"] },
        { "objectName": "conf/app.yaml", "secretPath": path, "format": "yaml" },
        { "objectName": "replica", "secretPath": path, "jsonPointer": "/REPLICAS/0" },
    ]);
    let parameters = json!({ "roleName": namespace.name(), "objects": objects.to_string() });
    namespace.class("db", parameters).await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;
    let versions = async || namespace.versions(&volume.pod, "db").await.unwrap();
    let before = versions().await;
    assert_eq!(volume.read("app.env").unwrap(), "HOST='h'\nREPLICAS='[\"r0\"]'\n");
    let yaml = "HOST: h\nREPLICAS: \"[\\\"r0\\\"]\"\n_note: x\n";
    assert_eq!(volume.read("conf/app.yaml").unwrap(), yaml);
    assert_eq!(volume.read("replica").unwrap(), "r0");

    setup.put(&namespace, "db", json!({ "HOST": "h", "_note": "y", "REPLICAS": "[\"r0\"]" })).await;
    rotated(node, &volume, "the new document", async || {
        versions().await["conf/app.yaml"] != before["conf/app.yaml"]
    })
    .await;
    assert_eq!(volume.read("conf/app.yaml").unwrap(), yaml.replace("_note: x", "_note: \"y\""));
    let after = versions().await;
    for same in ["app.env", "replica"] {
        assert_eq!(after[same], before[same], "{same} has not changed");
    }
}

async fn a_collision_at_rotation_changes_nothing(setup: Arc<ClusterWithVault>, generation: DriverGeneration) {
    let node = setup.node(generation);
    let namespace = setup.namespace("collision").await;
    setup.put(&namespace, "db", json!({ "host": "h" })).await;
    let path = format!("secret/data/{}/db", namespace.name());
    let objects = json!([
        { "objectName": "d", "secretPath": path, "format": "files" },
        { "objectName": "d/token", "secretPath": path, "secretKey": "host" },
    ]);
    let parameters = json!({ "roleName": namespace.name(), "objects": objects.to_string() });
    namespace.class("db", parameters).await;
    let volume = node.kubelet.mount(&namespace.pod(node, "app", "db").await).await;
    let before = (contents(&volume), namespace.versions(&volume.pod, "db").await);
    assert_eq!(before.0, expected(&[("d/host", "h"), ("d/token", "h")]));

    setup.put(&namespace, "db", json!({ "host": "changed", "token": "t" })).await;
    rejected(node, &namespace, &volume, "two objects would make the file").await;
    assert_eq!((contents(&volume), namespace.versions(&volume.pod, "db").await), before);

    setup.put(&namespace, "db", json!({ "host": "changed" })).await;
    rotated(node, &volume, "the files without the key", async || {
        contents(&volume) == expected(&[("d/host", "changed"), ("d/token", "changed")])
    })
    .await;
}
