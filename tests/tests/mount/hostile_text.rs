//! Text that a tenant or the server of a tenant wrote, in messages and in the log.

use coffer_tests::{
    Csi, CsiOptions, FakeVault, LOGIN, MountCall, READ_APP, ScriptedAnswer, TestPod, TokenIssuer,
    call_as_web, until_true,
};
use serde_json::json;

/// A line break and a forged line, commands of terminals, marks of direction, no width.
const EVIL: &str =
    "a\r\n2026-01-01T00:00:00Z ERROR forged\u{1b}[2J\u{9b}31m\u{85}\u{2028}\u{202e}\u{2066}\u{200b}z";

/// Returns calls with the text in everything that a tenant can write.
fn calls(issuer: &TokenIssuer, other: &FakeVault) -> Vec<MountCall> {
    let call = || call_as_web(issuer, &TestPod::new("shop", "web"), READ_APP);
    let quoted = json!(EVIL).to_string();
    let mut calls: Vec<MountCall> = [
        "vaultAddress",
        "roleName",
        "audience",
        "vaultNamespace",
        "vaultAuthMountPath",
        "vaultCACertPath",
        "vaultTLSServerName",
        "vaultSkipTLSVerify",
        "refreshInterval",
        "secretProviderClass",
        "objects",
    ]
    .iter()
    .flat_map(|name| {
        [call().param(name, EVIL), call().param(name, EVIL).param("vaultAddress", other.address())]
    })
    .collect();
    for address in
        [format!("unix:///run/{EVIL}"), format!("https://{EVIL}"), format!("http://127.0.0.1:9/{EVIL}")]
    {
        calls.push(call().param("vaultAddress", &address));
    }
    for objects in [
        format!("[{{objectName: {quoted}, secretPath: kv/app}}]"),
        format!("[{{objectName: f, secretPath: {quoted}}}]"),
        format!("[{{objectName: f, secretPath: kv/app, secretKey: {quoted}}}]"),
        format!("[{{objectName: f, secretPath: kv/app, method: {quoted}}}]"),
        format!("[{{objectName: f, secretPath: kv/app, {quoted}: x}}]"),
    ] {
        calls.push(call().objects(&objects).param("vaultAddress", other.address()));
    }
    calls.push(call().param(&format!("vaultAddres{EVIL}"), "x").param("vaultAddress", other.address()));
    calls
}

/// Makes mounts whose parameters, and then whose Vault, are hostile; and returns the log.
async fn log_of_hostile_mounts(options: CsiOptions) -> String {
    let (csi, issuer, other) = (options.start().await, TokenIssuer::new(), FakeVault::start().await);
    for call in calls(&issuer, &other) {
        check_message(&csi, &call).await;
    }
    for answer in [
        ScriptedAnswer::error(400, EVIL),
        ScriptedAnswer::error(403, EVIL),
        ScriptedAnswer::error(500, EVIL),
        ScriptedAnswer::raw(200, &[("Content-Type", "text/\u{202e}\u{1b}[2Jx")], "no JSON"),
        ScriptedAnswer::raw(200, &[("Content-Type", "application/json")], json!({ EVIL: EVIL }).to_string()),
        ScriptedAnswer::redirect(307, "http://\u{202e}/\u{1b}[2J"),
        ScriptedAnswer::json(
            404,
            &json!({ "data": { "metadata": { "version": 1, "deletion_time": EVIL } } }),
        ),
    ] {
        for (method, path) in [("POST", LOGIN), ("GET", "/v1/kv/app")] {
            other.script("POST", LOGIN, [ScriptedAnswer::login("hvs.x", 60)]);
            other.script(method, path, [answer.clone()]);
            let call = call_as_web(&issuer, &TestPod::new("shop", "web"), READ_APP);
            check_message(&csi, &call.param("vaultAddress", other.address())).await;
        }
    }
    csi.log()
}

async fn check_message(csi: &Csi, call: &MountCall) {
    if let Err(refusal) = csi.mount(call).await {
        assert!(!refusal.message.contains(is_evil), "{:?}", refusal.message);
    }
}

fn is_evil(c: char) -> bool {
    c.is_control() || ('\u{200b}'..='\u{200f}').contains(&c) || ('\u{2028}'..='\u{206f}').contains(&c)
}

#[tokio::test]
async fn an_event_is_one_line_of_the_log_whatever_tenants_write() {
    let log = log_of_hostile_mounts(Csi::options()).await;
    assert!(log.matches("mount failed").count() > 20, "{log}");
    for line in log.lines() {
        assert!(!line.contains(is_evil), "{line:?}");
        assert!(line.starts_with("20"), "a line that no event begins: {line:?}");
        assert!(!line.starts_with("2026-01-01"), "a forged line: {line:?}");
    }
}

#[tokio::test]
async fn lines_of_json_stay_json() {
    let log = log_of_hostile_mounts(Csi::options().flag("-log-format=json")).await;
    assert!(log.matches("mount failed").count() > 20, "{log}");
    for line in log.lines() {
        assert!(!line.contains(is_evil), "{line:?}");
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(event["timestamp"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn a_namespace_cannot_flood_the_log() {
    let (csi, issuer) = (Csi::options().start().await, TokenIssuer::new());
    let fail = async |namespace: &str| {
        csi.mount(&call_as_web(&issuer, &TestPod::new(namespace, "web"), "- x")).await.unwrap_err();
    };
    for _ in 0..1000 {
        fail("loud").await;
    }
    fail("quiet").await;
    let log = csi.log();
    let of = |namespace: &str| {
        log.lines().filter(|line| line.contains("mount failed") && line.contains(namespace)).count()
    };
    assert!((50..900).contains(&of("loud")), "{} lines", of("loud"));
    assert_eq!(of("quiet"), 1);
    until_true("a line with what was left out", async || {
        csi.log().lines().any(|line| line.contains("log lines were left out") && line.contains("loud"))
    })
    .await;
}
