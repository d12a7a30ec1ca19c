//! `coffer convert --cluster`: the workloads of a real cluster.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use coffer_tests::kubernetes::ClusterWithVault;
use coffer_tests::{Suite, coffer_binary};
use serde_json::{Value, json};
use tokio::process::Command;

pub(crate) fn tests(suite: Suite<ClusterWithVault>) -> Suite<ClusterWithVault> {
    suite.test("a_namespace_is_converted_and_applied", a_namespace_is_converted_and_applied)
}

async fn convert(setup: &ClusterWithVault, dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(coffer_binary("coffer"));
    command.env_clear().env("KUBECONFIG", setup.cluster.kubectl().kubeconfig()).current_dir(dir);
    command.args(["convert", "--cluster"]).args(arguments).output().await.unwrap()
}

fn workload(kind: &str, name: &str, namespace: &str) -> Value {
    let pod = json!({
        "metadata": { "labels": { "app": name }, "annotations": {
            "kept": "yes",
            "vault.hashicorp.com/agent-inject": "true",
            "vault.hashicorp.com/role": namespace,
            "vault.hashicorp.com/agent-inject-secret-db": "secret/shop/db",
            "vault.hashicorp.com/agent-inject-template-db": "{{ with secret \"secret/shop/db\" }}{{ .Data.data.k }}{{ end }}",
        } },
        "spec": { "serviceAccountName": "app", "containers": [{ "name": "app", "image": "app" }] },
    });
    json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": name, "namespace": namespace },
        "spec": { "selector": { "matchLabels": { "app": name } }, "template": pod },
    })
}

async fn a_namespace_is_converted_and_applied(setup: Arc<ClusterWithVault>) {
    let namespace = setup.namespace("convert").await;
    let name = namespace.name();
    // a class of that name is there already
    namespace.class("shop", json!({ "roleName": "r", "objects": "[]" })).await;
    let dir = tempfile::tempdir().unwrap();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [
        workload("Deployment", "shop", name), workload("DaemonSet", "logs", name),
    ] });
    fs::write(dir.path().join("list.json"), list.to_string()).unwrap();
    let kubectl = setup.cluster.kubectl();
    kubectl.apply([dir.path().join("list.json")]).await;

    let live = ["--live", "--vault-addr", setup.bao.address()];
    let output = convert(&setup, dir.path(), &[&["-n", name, "--out", "new"], &live[..]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = String::from_utf8(output.stderr).unwrap();
    assert!(report.contains("2 of 2 workloads converted"), "{report}");
    assert!(report.contains(&format!("cluster: simplified: {name}/deployment/shop: ")), "{report}");
    let files = dir.path().join("new").join(name);
    kubectl
        .apply([files.join("deployment-shop.classes.yaml"), files.join("daemonset-logs.classes.yaml")])
        .await;
    for workload in ["deployment", "daemonset"] {
        let object = if workload == "deployment" { "shop" } else { "logs" };
        let patch = files.join(format!("{workload}-{object}.patch.yaml"));
        let patch = patch.to_str().unwrap();
        kubectl.run(["patch", workload, object, "--namespace", name, "--patch-file", patch]).await;
    }

    let get = |kind: &'static str, object: &'static str| {
        kubectl.try_run(["get", kind, object, "--namespace", name, "--output=json"])
    };
    let deployment = get("deployment", "shop").await.json();
    let template = &deployment["spec"]["template"];
    assert_eq!(template["metadata"]["annotations"], json!({ "kept": "yes" }));
    let class = &template["spec"]["volumes"][0]["csi"]["volumeAttributes"]["secretProviderClass"];
    assert_eq!(class, "shop-deployment", "{template}");
    let class = get("secretproviderclass", "shop-deployment").await.json();
    let objects: Value =
        serde_saphyr::from_str(class["spec"]["parameters"]["objects"].as_str().unwrap()).unwrap();
    let expected = json!([{ "objectName": "db", "secretPath": "secret/data/shop/db", "secretKey": "k" }]);
    assert_eq!(objects, expected);

    // what is converted stays as it is
    let output = convert(&setup, dir.path(), &["-n", name]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}
