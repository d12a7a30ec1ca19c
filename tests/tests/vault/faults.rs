//! A Vault that misbehaves: every fault ends in a clear error that names the object, and the process lives.

use std::time::Duration;

use coffer_tests::{Answer, Csi, FaultServer, FaultSite, Pod, Refusal, Site, call_as_web};
use futures_util::future::join_all;
use serde_json::json;

/// Long enough for a few retries, short enough that nobody waits for the budget of a real mount.
const DEADLINE: Duration = Duration::from_secs(12);

fn object(path: &str) -> String {
    format!("- {{objectName: db-password, secretPath: {path}, secretKey: k}}")
}

async fn mount(site: &FaultSite, path: &str) -> Result<coffer_tests::Mounted, Refusal> {
    let call = site.call(&Pod::new("shop", "web"), &object(path)).timeout(Some(DEADLINE));
    site.csi.mount(&call).await
}

#[tokio::test]
async fn whatever_a_read_is_answered_the_error_names_the_object_and_the_path() {
    let site = FaultSite::start().await;
    let cases = [
        ("empty-200", Answer::empty(200), &[][..]),
        ("no-content", Answer::empty(204), &[]),
        ("page-200", Answer::html(200), &[]),
        ("page-502", Answer::html(502), &["502"]),
        ("bad-request", Answer::error(400, "unsupported path"), &["400", "unsupported path"]),
        ("denied", Answer::error(403, "permission denied"), &["permission denied"]),
        ("missing", Answer::json(404, &json!({ "errors": [] })), &[]),
        ("behind", Answer::error(412, "required index state not present"), &["412"]),
        ("busy", Answer::busy(429, 1), &["429"]),
        ("broken", Answer::error(500, "internal error"), &["500", "internal error"]),
        ("sealed", Answer::sealed(), &["Vault is sealed"]),
        ("closes-midway", Answer::closes_midway(), &[]),
        ("closes-at-once", Answer::closes_at_once(), &[]),
        ("no-json", Answer::raw(200, &[("Content-Type", "application/json")], "{\"data\":{\"k\":"), &[]),
        ("not-an-object", Answer::raw(200, &[], "[1,2]"), &[]),
        ("null", Answer::raw(200, &[], "null"), &[]),
        ("data-is-null", Answer::json(200, &json!({ "data": null })), &[]),
        ("data-is-text", Answer::json(200, &json!({ "data": "text" })), &[]),
        ("no-data", Answer::json(200, &json!({ "request_id": "x" })), &[]),
        ("not-http", Answer::closes_at_once(), &[]),
        ("redirect-nowhere", Answer::redirect(307, ""), &[]),
        ("redirect-to-garbage", Answer::redirect(307, "http://["), &[]),
        ("not-modified", Answer::empty(304), &["304"]),
        ("continue-for-ever", Answer::raw(999, &[], "x"), &[]),
    ];
    for (name, answer, _) in &cases {
        site.vault.script("GET", &format!("/v1/kv/{name}"), [answer.clone()]);
    }
    // All at once: each is a pod of its own.
    let mounts = cases.iter().map(|(name, _, words)| {
        let site = &site;
        async move { (name, words, mount(site, &format!("kv/{name}")).await) }
    });
    for (name, words, mounted) in join_all(mounts).await {
        let refusal = mounted.expect_err(name);
        assert!(refusal.names(&["db-password", &format!("kv/{name}")]), "{name}: {refusal:?}");
        assert!(refusal.names(words), "{name} should say {words:?}: {refusal:?}");
        assert!(refusal.message.len() < 1000, "{name}: an error of {} bytes", refusal.message.len());
        assert!(!refusal.names(&["<html>"]), "{name}: {refusal:?}");
    }
    site.csi.version().await.expect("the process lives");
}

#[tokio::test]
async fn the_same_fault_reads_the_same_each_time() {
    let site = FaultSite::start().await;
    for (name, answer) in [("denied", Answer::error(403, "permission denied")), ("page", Answer::html(200))] {
        site.vault.script("GET", &format!("/v1/kv/{name}"), [answer]);
        let path = format!("kv/{name}");
        let (first, second) =
            (mount(&site, &path).await.unwrap_err(), mount(&site, &path).await.unwrap_err());
        assert_eq!(first, second);
    }
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let site = FaultSite::start().await;
    site.vault.script("GET", "/v1/kv/large", [Answer::large(10 << 20)]);
    let refusal = mount(&site, "kv/large").await.unwrap_err();
    assert!(refusal.names(&["db-password", "kv/large"]), "{refusal:?}");

    site.vault.script("POST", "/v1/auth/kubernetes/login", [Answer::large(10 << 20)]);
    let refusal = mount(&site, "kv/app").await.unwrap_err();
    assert!(refusal.names(&["login"]), "{refusal:?}");
    site.csi.version().await.expect("the process lives");
}

#[tokio::test]
async fn an_answer_over_the_driver_s_limit_is_a_final_error() {
    let site = FaultSite::start().await;
    for name in ["a", "b"] {
        site.vault.script(
            "GET",
            &format!("/v1/kv/{name}"),
            [Answer::secret(json!({ "k": "x".repeat(2_500_000) }))],
        );
    }
    let both = format!("{}\n- {{objectName: other, secretPath: kv/b, secretKey: k}}", object("kv/a"));
    let refusal = site.mount(&both).await.unwrap_err();
    assert_eq!(refusal.code, tonic::Code::FailedPrecondition, "{refusal:?}");
    let one = site.mount(&object("kv/a")).await.expect("half of it is fine");
    assert_eq!(one.file("db-password").contents.len(), 2_500_000);
}

#[tokio::test]
async fn the_limit_on_answers_is_a_flag() {
    let site = FaultSite::start_with(Csi::options().flag("-max-response-bytes=1000")).await;
    site.vault.script("GET", "/v1/kv/a", [Answer::secret(json!({ "k": "x".repeat(1000), "small": "v" }))]);
    let refusal = site.mount(&object("kv/a")).await.unwrap_err();
    assert_eq!(refusal.code, tonic::Code::FailedPrecondition, "{refusal:?}");
    assert!(refusal.names(&["1000"]), "{refusal:?}");
    site.mount("- {objectName: f, secretPath: kv/a, secretKey: small}").await.expect("this one fits");
}

#[tokio::test]
async fn a_login_that_fails_says_what_vault_said() {
    let site = FaultSite::start().await;
    for (name, answer, words) in [
        ("400", Answer::error(400, "missing role"), &["400", "missing role"][..]),
        (
            "403",
            Answer::error(403, "service account name not authorized"),
            &["service account name not authorized"],
        ),
        (
            "404",
            Answer::error(404, "no handler for route \"auth/kubernetes/login\""),
            &["no handler for route"],
        ),
        ("429", Answer::busy(429, 1), &["429"]),
        ("500", Answer::error(500, "internal error"), &["500"]),
        ("503", Answer::sealed(), &["Vault is sealed"]),
        ("502", Answer::html(502), &["502"]),
        ("redirect", Answer::redirect(307, ""), &[]),
    ] {
        site.vault.script("POST", "/v1/auth/kubernetes/login", [answer]);
        let refusal = mount(&site, "kv/app").await.expect_err(name);
        assert!(
            refusal.names(&["login"]) && refusal.names(words),
            "{name} should say {words:?}: {refusal:?}"
        );
    }
}

#[tokio::test]
async fn a_vault_that_is_down_is_named() {
    let csi = Csi::options().start().await;
    let issuer = coffer_tests::Issuer::new();
    let call = call_as_web(&issuer, &Pod::new("shop", "web"), &object("kv/app")).timeout(Some(DEADLINE));
    for (address, part) in [
        ("http://127.0.0.1:9", "127.0.0.1:9"),
        ("http://no-such-host.invalid:8200", "no-such-host.invalid"),
        ("unix:///nowhere/vault.sock", "/nowhere/vault.sock"),
    ] {
        let refusal = csi.mount(&call.clone().param("vaultAddress", address)).await.unwrap_err();
        assert!(refusal.names(&[part]), "{refusal:?}");
    }
    assert!(csi.ready().await, "a Vault that is down is not the provider's health");
}

#[tokio::test]
async fn a_real_vault_that_is_sealed_says_so() {
    let site = Site::start().await;
    site.bao.kv_put("app", json!({ "k": "v" })).await;
    let call = site.call(&Pod::new("shop", "web"), &object("secret/data/app")).timeout(Some(DEADLINE));
    site.csi.mount(&call).await.unwrap();
    site.bao.seal().await;
    let refusal = site.csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&["sealed"]), "{refusal:?}");
}

#[tokio::test]
async fn a_vault_that_speaks_no_http_is_an_error() {
    let csi = Csi::options().start().await;
    let ca = coffer_tests::TestCa::new();
    let tls_only = FaultServer::start_tls(&ca).await;
    let plain = tls_only.address().replace("https:", "http:");
    let issuer = coffer_tests::Issuer::new();
    let call = call_as_web(&issuer, &Pod::new("shop", "web"), &object("kv/app")).timeout(Some(DEADLINE));
    csi.mount(&call.param("vaultAddress", &plain)).await.unwrap_err();
    csi.version().await.expect("the process lives");
}
