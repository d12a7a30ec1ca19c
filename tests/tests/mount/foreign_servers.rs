//! Servers that a class names and the operator does not: where they may lead the agent, and what
//! they may tell.

use coffer_tests::{
    Csi, FakeVault, LOGIN, MountCall, READ_APP, ScriptedAnswer, TestCa, TestPod, TokenIssuer, call_as_web,
};
use std::time::Duration;
use tokio::net::TcpListener;

fn call(address: &str) -> MountCall {
    call_as_web(&TokenIssuer::new(), &TestPod::new("shop", "web"), READ_APP).param("vaultAddress", address)
}

#[tokio::test]
async fn a_class_s_own_server_redirects_within_its_origin_only() {
    let (other, inner) = (FakeVault::start().await, FakeVault::start().await);
    inner.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    let csi = Csi::options().start().await;
    let port = other.address().rsplit_once(':').unwrap().1.to_owned();
    for away in
        [inner.address().to_owned(), format!("http://localhost:{port}"), format!("https://127.0.0.1:{port}")]
    {
        for (method, path) in [("GET", "/v1/kv/app"), ("POST", LOGIN)] {
            for status in [301, 302, 307] {
                let redirect = ScriptedAnswer::redirect(status, &format!("{away}{path}"));
                other.script("POST", LOGIN, [ScriptedAnswer::login("hvs.x", 60)]);
                other.script(method, path, [redirect]);
                let refusal = csi.mount(&call(other.address())).await.expect_err(&away);
                assert!(refusal.names(&["to another server", "-vault-trusted-addresses"]), "{refusal:?}");
            }
        }
    }
    assert_eq!(inner.requests().len(), 0, "a server behind the agent was called");

    other.script("POST", LOGIN, [ScriptedAnswer::login("hvs.x", 60)]);
    other.script(
        "GET",
        "/v1/kv/app",
        [ScriptedAnswer::redirect(307, &format!("{}/v1/kv/new", other.address()))],
    );
    other.script("GET", "/v1/kv/new", [ScriptedAnswer::app_secret()]);
    csi.mount(&call(other.address())).await.expect("within its origin");
    other.script(
        "GET",
        "/v1/kv/app",
        [ScriptedAnswer::redirect(307, &format!("{}/v1/kv/app", inner.address()))],
    );
    let trusting = Csi::options().flag(format!("-vault-trusted-addresses={}", other.address())).start().await;
    trusting.mount(&call(other.address())).await.expect("the operator trusts it");
}

#[tokio::test]
async fn why_a_server_is_not_reached_is_for_the_operator() {
    let csi = Csi::options().env("VAULT_CLIENT_TIMEOUT", "2s").env("VAULT_MAX_RETRIES", "0").start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let closes = FakeVault::start().await;
    closes.script("POST", LOGIN, [ScriptedAnswer::closes_at_once()]);
    let tls = FakeVault::start_tls(&TestCa::new()).await;
    let mut texts = Vec::new();
    for address in [
        "http://127.0.0.1:9".to_owned(),
        "http://no-such-host.invalid:8200".to_owned(),
        silent,
        closes.address().to_owned(),
        tls.address().to_owned(),
        closes.address().replace("http:", "https:"),
    ] {
        let call = call(&address).timeout(Some(Duration::from_secs(30)));
        let refusal = csi.mount(&call).await.unwrap_err();
        assert!(refusal.names(&["cannot reach Vault at", &address]), "{refusal:?}");
        texts.push(refusal.message.replace(&address, "ADDRESS"));
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "the texts tell ports and names apart: {texts:#?}");
    let log = csi.log();
    for cause in ["refused", "did not answer in time", "ertificate"] {
        assert!(log.contains(cause), "no {cause:?} in {log}");
    }
    let operator = Csi::options().flag("-vault-addr=http://127.0.0.1:9").start().await;
    let refusal = operator.mount(&call("http://127.0.0.1:9/")).await.unwrap_err();
    assert!(refusal.names(&["refused"]), "{refusal:?}");
}
