//! Faults of Vault: every fault ends in an error that names the object, and the process survives.

use std::time::Duration;

use coffer_tests::{
    Csi, FakeVault, FakeVaultSetup, LOGIN, MountRefusal, Mounted, OpenBaoSetup, ScriptedAnswer, TestCa,
    TestPod, TokenIssuer, call_as_web,
};
use futures_util::future::join_all;
use serde_json::json;

/// Long enough for a few retries, and shorter than a real mount's deadline.
const DEADLINE: Duration = Duration::from_secs(12);

fn object(path: &str) -> String {
    format!("- {{objectName: db-password, secretPath: {path}, secretKey: k}}")
}

async fn mount(setup: &FakeVaultSetup, path: &str) -> Result<Mounted, MountRefusal> {
    let call = setup.call(&TestPod::new("shop", "web"), &object(path)).timeout(Some(DEADLINE));
    setup.csi.mount(&call).await
}

#[tokio::test]
async fn whatever_a_read_is_answered_the_error_names_the_object_and_the_path() {
    let setup = FakeVaultSetup::start().await;
    let cases = [
        ("empty-200", ScriptedAnswer::empty(200), &[][..]),
        ("no-content", ScriptedAnswer::empty(204), &[]),
        ("page-200", ScriptedAnswer::html(200), &[]),
        ("page-502", ScriptedAnswer::html(502), &["502"]),
        ("bad-request", ScriptedAnswer::error(400, "unsupported path"), &["400", "unsupported path"]),
        ("denied", ScriptedAnswer::error(403, "permission denied"), &["permission denied"]),
        ("missing", ScriptedAnswer::json(404, &json!({ "errors": [] })), &[]),
        ("behind", ScriptedAnswer::error(412, "required index state not present"), &["412"]),
        ("busy", ScriptedAnswer::busy(429, 1), &["429"]),
        ("broken", ScriptedAnswer::error(500, "internal error"), &["500", "internal error"]),
        ("sealed", ScriptedAnswer::sealed(), &["Vault is sealed"]),
        ("closes-midway", ScriptedAnswer::closes_midway(), &[]),
        ("closes-at-once", ScriptedAnswer::closes_at_once(), &[]),
        (
            "no-json",
            ScriptedAnswer::raw(200, &[("Content-Type", "application/json")], "{\"data\":{\"k\":"),
            &[],
        ),
        ("not-an-object", ScriptedAnswer::raw(200, &[], "[1,2]"), &[]),
        ("null", ScriptedAnswer::raw(200, &[], "null"), &[]),
        ("data-is-null", ScriptedAnswer::json(200, &json!({ "data": null })), &[]),
        ("data-is-text", ScriptedAnswer::json(200, &json!({ "data": "text" })), &[]),
        ("no-data", ScriptedAnswer::json(200, &json!({ "request_id": "x" })), &[]),
        ("not-http", ScriptedAnswer::closes_at_once(), &[]),
        ("redirect-nowhere", ScriptedAnswer::redirect(307, ""), &[]),
        ("redirect-to-garbage", ScriptedAnswer::redirect(307, "http://["), &[]),
        ("not-modified", ScriptedAnswer::empty(304), &["304"]),
        ("continue-for-ever", ScriptedAnswer::raw(999, &[], "x"), &[]),
    ];
    for (name, answer, _) in &cases {
        setup.vault.script("GET", &format!("/v1/kv/{name}"), [answer.clone()]);
    }
    // All at once, each for its own pod.
    let mounts = cases.iter().map(|(name, _, words)| {
        let setup = &setup;
        async move { (name, words, mount(setup, &format!("kv/{name}")).await) }
    });
    for (name, words, mounted) in join_all(mounts).await {
        let refusal = mounted.expect_err(name);
        assert!(refusal.names(&["db-password", &format!("kv/{name}")]), "{name}: {refusal:?}");
        assert!(refusal.names(words), "{name} should say {words:?}: {refusal:?}");
        assert!(refusal.message.len() < 1000, "{name}: an error of {} bytes", refusal.message.len());
        assert!(!refusal.names(&["<html>"]), "{name}: {refusal:?}");
    }
    setup.csi.version().await.expect("the process is still running");
}

#[tokio::test]
async fn the_same_fault_has_the_same_message_each_time() {
    let setup = FakeVaultSetup::start().await;
    for (name, answer) in
        [("denied", ScriptedAnswer::error(403, "permission denied")), ("page", ScriptedAnswer::html(200))]
    {
        setup.vault.script("GET", &format!("/v1/kv/{name}"), [answer]);
        let path = format!("kv/{name}");
        let (first, second) =
            (mount(&setup, &path).await.unwrap_err(), mount(&setup, &path).await.unwrap_err());
        assert_eq!(first, second);
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_cut_off() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/large", [ScriptedAnswer::large(10 << 20)]);
    let refusal = mount(&setup, "kv/large").await.unwrap_err();
    assert!(refusal.names(&["db-password", "kv/large"]), "{refusal:?}");

    setup.vault.script("POST", LOGIN, [ScriptedAnswer::large(10 << 20)]);
    let refusal = mount(&setup, "kv/app").await.unwrap_err();
    assert!(refusal.names(&["login"]), "{refusal:?}");
    setup.csi.version().await.expect("the process is still running");
}

#[tokio::test]
async fn an_answer_over_the_driver_s_limit_is_a_final_error() {
    let setup = FakeVaultSetup::start().await;
    for name in ["a", "b"] {
        setup.vault.script(
            "GET",
            &format!("/v1/kv/{name}"),
            [ScriptedAnswer::secret(json!({ "k": "x".repeat(2_500_000) }))],
        );
    }
    let both = format!("{}\n- {{objectName: other, secretPath: kv/b, secretKey: k}}", object("kv/a"));
    let refusal = setup.mount(&both).await.unwrap_err();
    assert_eq!(refusal.code, tonic::Code::FailedPrecondition, "{refusal:?}");
    let one = setup.mount(&object("kv/a")).await.expect("one file is within the limit");
    assert_eq!(one.file("db-password").contents.len(), 2_500_000);
}

#[tokio::test]
async fn the_limit_on_answers_is_a_flag() {
    let setup = FakeVaultSetup::start_with(Csi::options().flag("-max-response-bytes=1000")).await;
    setup.vault.script(
        "GET",
        "/v1/kv/a",
        [ScriptedAnswer::secret(json!({ "k": "x".repeat(1000), "small": "v" }))],
    );
    let refusal = setup.mount(&object("kv/a")).await.unwrap_err();
    assert_eq!(refusal.code, tonic::Code::FailedPrecondition, "{refusal:?}");
    assert!(refusal.names(&["1000"]), "{refusal:?}");
    setup
        .mount("- {objectName: f, secretPath: kv/a, secretKey: small}")
        .await
        .expect("the small file is within the limit");
}

#[tokio::test]
async fn a_login_that_fails_says_what_vault_said() {
    let setup = FakeVaultSetup::start().await;
    for (name, answer, words) in [
        ("400", ScriptedAnswer::error(400, "missing role"), &["400", "missing role"][..]),
        (
            "403",
            ScriptedAnswer::error(403, "service account name not authorized"),
            &["service account name not authorized"],
        ),
        (
            "404",
            ScriptedAnswer::error(404, "no handler for route \"auth/kubernetes/login\""),
            &["no handler for route"],
        ),
        ("429", ScriptedAnswer::busy(429, 1), &["429"]),
        ("500", ScriptedAnswer::error(500, "internal error"), &["500"]),
        ("503", ScriptedAnswer::sealed(), &["Vault is sealed"]),
        ("502", ScriptedAnswer::html(502), &["502"]),
        ("redirect", ScriptedAnswer::redirect(307, ""), &[]),
    ] {
        setup.vault.script("POST", LOGIN, [answer]);
        let refusal = mount(&setup, "kv/app").await.expect_err(name);
        assert!(
            refusal.names(&["login"]) && refusal.names(words),
            "{name} should say {words:?}: {refusal:?}"
        );
    }
}

#[tokio::test]
async fn a_vault_that_is_down_is_named() {
    let csi = Csi::options().start().await;
    let issuer = TokenIssuer::new();
    let call = call_as_web(&issuer, &TestPod::new("shop", "web"), &object("kv/app")).timeout(Some(DEADLINE));
    for (address, part) in [
        ("http://127.0.0.1:9", "127.0.0.1:9"),
        ("http://no-such-host.invalid:8200", "no-such-host.invalid"),
        ("unix:///nowhere/vault.sock", "/nowhere/vault.sock"),
    ] {
        let refusal = csi.mount(&call.clone().param("vaultAddress", address)).await.unwrap_err();
        assert!(refusal.names(&[part]), "{refusal:?}");
    }
    assert!(csi.ready().await, "health does not depend on Vault");
}

#[tokio::test]
async fn a_real_vault_that_is_sealed_says_so() {
    let setup = OpenBaoSetup::start().await;
    setup.bao.kv_put("app", json!({ "k": "v" })).await;
    let call = setup.call(&TestPod::new("shop", "web"), &object("secret/data/app")).timeout(Some(DEADLINE));
    setup.csi.mount(&call).await.unwrap();
    setup.bao.seal().await;
    let refusal = setup.csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&["sealed"]), "{refusal:?}");
}

#[tokio::test]
async fn a_vault_that_speaks_no_http_is_an_error() {
    let csi = Csi::options().start().await;
    let ca = TestCa::new();
    let tls_only = FakeVault::start_tls(&ca).await;
    let plain = tls_only.address().replace("https:", "http:");
    let issuer = TokenIssuer::new();
    let call = call_as_web(&issuer, &TestPod::new("shop", "web"), &object("kv/app")).timeout(Some(DEADLINE));
    csi.mount(&call.param("vaultAddress", &plain)).await.unwrap_err();
    csi.version().await.expect("the process is still running");
}
