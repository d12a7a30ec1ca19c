//! `kubectl coffer check` on the classes of a real cluster.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::process::Output;
use std::sync::Arc;

use coffer_tests::kubernetes::{ClusterWithVault, kubectl_program};
use coffer_tests::{Suite, coffer_binary};
use serde_json::{Value, json};
use tokio::process::Command;

const PASSWORD: &str = "correct-horse-battery";

pub(crate) fn tests(suite: Suite<ClusterWithVault>) -> Suite<ClusterWithVault> {
    suite
        .test("classes_of_a_namespace_and_of_all_are_checked", classes_are_checked)
        .test("live_it_reads_as_the_service_account", live_it_reads_as_the_service_account)
        .test("a_missing_right_in_the_cluster_is_reported", a_missing_right_in_the_cluster_is_reported)
}

/// Runs `kubectl coffer check` with the real kubectl, which finds the plugin in `PATH`.
async fn check(setup: &ClusterWithVault, arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    symlink(coffer_binary("coffer"), dir.path().join("kubectl-coffer")).unwrap();
    let mut path = OsString::from(dir.path());
    path.push(":/usr/bin:/bin");
    let mut command = Command::new(kubectl_program());
    command
        .env_clear()
        .env("PATH", path)
        .env("HOME", dir.path())
        .env("KUBECONFIG", setup.cluster.kubectl().kubeconfig())
        .args(["coffer", "check", "--cluster", "--output=json"])
        .args(arguments);
    let output = command.output().await.unwrap();
    assert!(!format!("{output:?}").contains(PASSWORD), "{output:?}");
    output
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

async fn classes_are_checked(setup: Arc<ClusterWithVault>) {
    let (wrong, right) = (setup.namespace("wrong").await, setup.namespace("right").await);
    wrong
        .class(
            "db",
            json!({ "rolename": "r", "objects": "- objectName: a\n  secretPath: p\n- objectName: a" }),
        )
        .await;
    right.class("db", json!({ "roleName": "r", "objects": right.objects("db", &[("f", "k")]) })).await;

    let output = check(&setup, &["--namespace", wrong.name()]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report_of_one = report(&output);
    assert_eq!(report_of_one["classes"], 1);
    let messages: Vec<_> = report_of_one["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            assert_eq!((&finding["file"], &finding["line"]), (&Value::Null, &Value::Null));
            assert_eq!((&finding["namespace"], &finding["class"]), (&json!(wrong.name()), &json!("db")));
            finding["message"].as_str().unwrap()
        })
        .collect();
    let expected = [
        "line 3 of objects: secretPath is missing",
        "line 3 of objects: line 1 has the same objectName: two objects would be one file",
        "parameter \"roleName\" is missing from the SecretProviderClass",
        "unknown parameter \"rolename\" is ignored: did you mean \"roleName\"?",
    ];
    assert_eq!(messages, expected);

    let output = check(&setup, &["-n", right.name()]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let all = report(&check(&setup, &["-A"]).await);
    let mistakes = all["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["severity"] == "error" && finding["namespace"] == json!(wrong.name()));
    assert!(all["classes"].as_u64().unwrap() >= 2 && mistakes.count() == 3, "{all}");
}

async fn live_it_reads_as_the_service_account(setup: Arc<ClusterWithVault>) {
    let namespace = setup.namespace("live").await;
    setup.put(&namespace, "db", json!({ "password": PASSWORD })).await;
    let mut objects: Value = serde_json::from_str(&namespace.objects("db", &[("f", "password")])).unwrap();
    namespace.class("good", json!({ "roleName": namespace.name(), "objects": objects.to_string() })).await;
    let live =
        ["-n", namespace.name(), "--live", "--service-account=app", "--vault-addr", setup.bao.address()];
    let output = check(&setup, &live).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");

    objects[0]["secretPath"] = json!("secret/data/elsewhere/db");
    namespace.class("denied", json!({ "roleName": namespace.name(), "objects": objects.to_string() })).await;
    let output = check(&setup, &live).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = report(&output);
    let finding = &report["findings"][0];
    assert_eq!((&finding["class"], &finding["object"]), (&json!("denied"), &json!("f")));
    let stanza = r#"path "secret/data/elsewhere/db" { capabilities = ["read"] }"#;
    assert!(finding["message"].as_str().unwrap().contains(stanza), "{finding}");

    let stranger =
        ["-n", namespace.name(), "--live", "--service-account=nobody", "--vault-addr", setup.bao.address()];
    let output = check(&setup, &stranger).await;
    assert_eq!(output.status.code(), Some(2), "no token, no check: {output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("\"nobody\" not found"), "{output:?}");
}

async fn a_missing_right_in_the_cluster_is_reported(setup: Arc<ClusterWithVault>) {
    let namespace = setup.namespace("refused").await;
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = dir.path().join("kubeconfig");
    setup.cluster.account_kubeconfig(namespace.name(), "app").await.write(&kubeconfig);
    let output = Command::new(coffer_binary("coffer"))
        .env_clear()
        .env("KUBECONFIG", &kubeconfig)
        .args(["check", "--cluster", "-A"])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("kube-apiserver answered 403") && error.contains("secretproviderclasses"),
        "{error}"
    );
}
