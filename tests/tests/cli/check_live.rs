//! `coffer check --live` against a real OpenBao: finds without a mount what would make a mount
//! fail.

use std::process::Output;

use coffer_tests::{JwtRole, OpenBao, OpenBaoSetup, Suite, TestPod, TokenIssuer, coffer_binary};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

pub(crate) fn tests(suite: Suite<()>) -> Suite<()> {
    suite
        .test("a_class_that_can_be_mounted_has_no_findings", |_| {
            a_class_that_can_be_mounted_has_no_findings()
        })
        .test("errors_of_a_mount_are_reported_for_each_object", |_| {
            errors_of_a_mount_are_reported_for_each_object()
        })
        .test("issuing_requests_are_not_made_but_their_right_is_checked", |_| {
            issuing_requests_are_not_made_but_their_right_is_checked()
        })
        .test("a_failed_login_is_a_finding_of_the_class", |_| a_failed_login_is_a_finding_of_the_class())
        .test("an_unreachable_vault_is_not_a_mistake_of_the_class", |_| {
            an_unreachable_vault_is_not_a_mistake_of_the_class()
        })
        .test("the_environment_applies_without_flag_and_class_parameter", |_| {
            the_environment_applies_without_flag_and_class_parameter()
        })
}

const VALUE: &str = "correct-horse-battery";

/// The policy of role `app`.
const POLICY: &str = r#"
path "secret/data/app/*" { capabilities = ["read"] }
path "transit/hmac/app" { capabilities = ["update"] }
path "cubbyhole/*" { capabilities = ["read"] }
"#;

/// A Vault, and a directory with a token for it.
struct LiveCheckSetup {
    bao: OpenBao,
    dir: TempDir,
}

impl LiveCheckSetup {
    async fn start() -> Self {
        let (bao, issuer): (OpenBao, TokenIssuer) = OpenBaoSetup::vault().await;
        bao.policy("app", POLICY).await;
        bao.role("kubernetes", &JwtRole::new("app", "app")).await;
        bao.kv_put("app/db", json!({ "user": "jo", "password": VALUE, "pin": "not base64!" })).await;
        bao.kv_put("other/db", json!({ "password": VALUE })).await;
        bao.kv_put("app/gone", json!({ "password": VALUE })).await;
        bao.kv_delete("app/gone").await;
        bao.mount_engine("transit", "transit", Value::Null).await;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), issuer.token(&TestPod::new("shop", "web"))).unwrap();
        Self { bao, dir }
    }

    /// Checks a class with these objects, as role `app`.
    async fn check(&self, objects: &str) -> Output {
        self.check_as("app", objects, &["--vault-addr", self.bao.address(), "--token-file=token"]).await
    }

    async fn check_as(&self, role: &str, objects: &str, arguments: &[&str]) -> Output {
        let objects: String = objects.lines().map(|line| format!("      {}\n", line.trim())).collect();
        let class = format!(
            "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\nmetadata:\n  name: db\nspec:\n  \
             provider: vault\n  parameters:\n    vaultAddress: https://vault.shop.svc:8200\n    roleName: {role}\n    \
             objects: |\n{objects}"
        );
        std::fs::write(self.dir.path().join("class.yaml"), class).unwrap();
        let mut command = Command::new(coffer_binary("coffer"));
        command.env_clear().current_dir(self.dir.path()).args(["check", "class.yaml", "--live", "-ojson"]);
        let output = command.args(arguments).output().await.unwrap();
        let text = format!("{output:?}");
        assert!(!text.contains(VALUE) && !text.contains("not base64!"), "{text}");
        output
    }
}

/// Returns the exit code, and each finding's severity, line and message.
fn exit_code_and_findings(output: &Output) -> (i32, Vec<(String, u64, String)>) {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let finding =
        |found: &Value| (text(&found["severity"]), found["line"].as_u64().unwrap(), text(&found["message"]));
    (output.status.code().unwrap(), report["findings"].as_array().unwrap().iter().map(finding).collect())
}

async fn a_class_that_can_be_mounted_has_no_findings() {
    let setup = LiveCheckSetup::start().await;
    let output = setup
        .check(
            "- {objectName: user, secretPath: secret/data/app/db, secretKey: user}
             - {objectName: password, secretPath: secret/data/app/db, secretKey: password}
             - {objectName: whole, secretPath: /v1/secret/data/app/db}",
        )
        .await;
    assert_eq!(exit_code_and_findings(&output), (0, vec![]));
    assert_eq!(setup.bao.logins(), 1);
    assert_eq!(setup.bao.requests_to("secret/data/app/db"), 1, "all objects share one read");
}

async fn errors_of_a_mount_are_reported_for_each_object() {
    let setup = LiveCheckSetup::start().await;
    let output = setup
        .check(
            "- {objectName: a, secretPath: secret/data/other/db, secretKey: password}
             - {objectName: b, secretPath: secret/data/app/none, secretKey: password}
             - {objectName: c, secretPath: secret/app/db, secretKey: password}
             - {objectName: d, secretPath: secret/data/app/db, secretKey: pasword}
             - {objectName: e, secretPath: secret/data/app/gone, secretKey: password}
             - {objectName: f, secretPath: secret/data/app/db, secretKey: pin, encoding: base64}
             - {objectName: g, secretPath: secret/data/app/db, secretKey: password}",
        )
        .await;
    let (code, findings) = exit_code_and_findings(&output);
    assert_eq!(code, 1);
    let expected = [
        (11, r#"Add to a policy of role "app": path "secret/data/other/db" { capabilities = ["read"] }"#),
        (12, "Vault has nothing at this path (HTTP 404)"),
        (13, r#"the engine is KV version 2, where this path is "secret/data/app/db""#),
        (14, r#"the secret has no key "pasword""#),
        (15, "version 1 was deleted at"),
        (16, "base64"),
    ];
    assert_eq!(findings.len(), expected.len(), "{findings:#?}");
    for ((severity, line, message), (at, words)) in findings.iter().zip(expected) {
        assert!(
            severity == "error" && *line == at && message.contains(words),
            "{line}: {message}\nnot {words}"
        );
    }
}

async fn issuing_requests_are_not_made_but_their_right_is_checked() {
    let setup = LiveCheckSetup::start().await;
    let output = setup
        .check(
            "- {objectName: a, secretPath: transit/hmac/app, secretKey: hmac, method: PUT, secretArgs: {input: eA==}}
             - {objectName: b, secretPath: transit/hmac/other, secretKey: hmac, method: PUT, secretArgs: {input: eA==}}
             - {objectName: c, secretPath: transit/keys/app, secretKey: type}
             - {objectName: d, secretPath: secret/data/app/db, secretKey: user}",
        )
        .await;
    let (code, findings) = exit_code_and_findings(&output);
    assert_eq!(code, 1);
    let expected = [
        ("note", "a PUT makes Vault issue something; the role may"),
        (
            "error",
            r#"Add to a policy of role "app": path "transit/hmac/other" { capabilities = ["update"] }"#,
        ),
        ("error", r#"path "transit/keys/app" { capabilities = ["read"] }"#),
    ];
    assert_eq!(findings.len(), expected.len(), "{findings:#?}");
    for ((severity, _, message), (kind, words)) in findings.iter().zip(expected) {
        assert!(severity == kind && message.contains(words), "{message}\nnot {words}");
    }
    let asked: Vec<String> = setup.bao.requests().into_iter().map(|request| request.path).collect();
    assert!(asked.contains(&"sys/capabilities-self".to_owned()), "{asked:?}");
    assert!(!asked.iter().any(|path| path.starts_with("transit/")), "{asked:?}");
}

async fn a_failed_login_is_a_finding_of_the_class() {
    let setup = LiveCheckSetup::start().await;
    let objects = "- {objectName: a, secretPath: secret/data/app/db}";
    let given = ["--vault-addr", setup.bao.address(), "--token-file=token"];
    let (code, findings) = exit_code_and_findings(&setup.check_as("nobody", objects, &given).await);
    assert_eq!((code, findings.len()), (1, 1));
    let (severity, line, message) = &findings[0];
    assert_eq!((severity.as_str(), *line), ("error", 4));
    assert!(message.contains("login of service account shop/web with role \"nobody\" failed"), "{message}");
    assert!(message.contains("Check that role \"nobody\" exists at auth/kubernetes"), "{message}");
}

async fn an_unreachable_vault_is_not_a_mistake_of_the_class() {
    let setup = LiveCheckSetup::start().await;
    let objects = "- {objectName: a, secretPath: secret/data/app/db}";
    setup.bao.seal().await;
    for address in [setup.bao.address(), "http://127.0.0.1:1"] {
        let output = setup.check_as("app", objects, &["--vault-addr", address, "--token-file=token"]).await;
        assert_eq!(exit_code_and_findings(&output), (2, vec![]));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains("cannot try class db: ") && error.contains(address), "{error}");
    }
}

async fn the_environment_applies_without_flag_and_class_parameter() {
    let setup = LiveCheckSetup::start().await;
    let policies = setup.bao.admin(Method::GET, "sys/policies/acl/app", Value::Null).await;
    assert!(policies["data"]["policy"].as_str().is_some_and(|policy| policy.contains("app")));
    let objects = "- {objectName: a, secretPath: secret/data/app/db}";
    let output = setup.check_as("app", objects, &["--token-file=token"]).await;
    assert_eq!(output.status.code(), Some(2), "nothing listens at the class's address: {output:?}");

    let class = std::fs::read_to_string(setup.dir.path().join("class.yaml")).unwrap();
    let class: String =
        class.lines().filter(|line| !line.contains("vaultAddress")).map(|line| format!("{line}\n")).collect();
    std::fs::write(setup.dir.path().join("class.yaml"), class).unwrap();
    let mut command = Command::new(coffer_binary("coffer"));
    command.env_clear().env("BAO_ADDR", setup.bao.address()).current_dir(setup.dir.path());
    let output =
        command.args(["check", "class.yaml", "--live", "--token-file=token"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
