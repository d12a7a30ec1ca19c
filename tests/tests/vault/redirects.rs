//! Redirects of a standby Vault: one is followed, with the complete request, and never from HTTPS
//! to HTTP.

use coffer_tests::{
    Csi, FakeVault, FakeVaultSetup, LOGIN, READ_APP, ScriptedAnswer, TestCa, TestPod, TokenIssuer,
    call_as_web,
};

use crate::ISSUE;

#[tokio::test]
async fn one_redirect_is_followed_with_method_body_token_and_namespace() {
    let setup = FakeVaultSetup::start().await;
    let active = FakeVault::start().await;
    active.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    active.script("POST", "/v1/pki/issue/web", [ScriptedAnswer::app_secret()]);
    for status in [301, 302, 307] {
        for (method, path, objects) in [("GET", "/v1/kv/app", READ_APP), ("POST", "/v1/pki/issue/web", ISSUE)]
        {
            let location = format!("{}{path}", active.address());
            setup.vault.script(method, path, [ScriptedAnswer::redirect(status, &location)]);
            let call = setup.call(&TestPod::new("shop", "web"), objects).param("vaultNamespace", "team");
            let mounted = setup.csi.mount(&call).await.unwrap_or_else(|e| panic!("{status} {method}: {e:?}"));
            assert_eq!(mounted.text("f"), "v");
            let sent = setup.vault.requests_to(method, path).pop().unwrap();
            let followed = active.requests().pop().unwrap();
            assert_eq!((followed.method.as_str(), followed.path.as_str()), (method, path), "{status}");
            assert_eq!(followed.body, sent.body, "{status} {method}");
            assert_eq!(followed.token(), sent.token(), "{status} {method}");
            assert!(followed.token().is_some());
            assert_eq!(followed.headers.get("x-vault-namespace"), sent.headers.get("x-vault-namespace"));
        }
    }
}

#[tokio::test]
async fn a_login_is_redirected_too() {
    let setup = FakeVaultSetup::start().await;
    let active = FakeVault::start().await;
    let login = LOGIN;
    setup.vault.script(
        "POST",
        login,
        [ScriptedAnswer::redirect(307, &format!("{}{login}", active.address()))],
    );
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    setup.mount(READ_APP).await.unwrap();
    let followed = active.requests_to("POST", login).pop().unwrap();
    assert_eq!(followed.json()["role"], "web");
    assert!(followed.json()["jwt"].as_str().is_some_and(|jwt| jwt.len() > 100));
}

#[tokio::test]
async fn a_relative_redirect_stays_with_the_server() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::redirect(307, "/v1/kv/elsewhere?x=1")]);
    setup.vault.script("GET", "/v1/kv/elsewhere", [ScriptedAnswer::app_secret()]);
    setup.mount(READ_APP).await.unwrap();
    assert_eq!(setup.vault.requests_to("GET", "/v1/kv/elsewhere")[0].query, "x=1");
}

#[tokio::test]
async fn a_second_redirect_is_not_followed() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::redirect(307, "/v1/kv/app")]);
    let refusal = setup.mount(READ_APP).await.unwrap_err();
    assert!(refusal.names(&["f", "kv/app"]), "{refusal:?}");
    assert_eq!(setup.vault.requests_to("GET", "/v1/kv/app").len(), 2);
}

#[tokio::test]
async fn https_is_never_left_for_http() {
    let ca = TestCa::new();
    let (vault, clear) = (FakeVault::start_tls(&ca).await, FakeVault::start().await);
    for (method, path) in [("GET", "/v1/kv/app"), ("POST", LOGIN)] {
        clear.script(method, path, [ScriptedAnswer::app_secret()]);
    }
    let csi = Csi::options().flag(format!("-vault-addr={}", vault.address()));
    let csi = csi.flag(format!("-vault-tls-ca-cert={}", ca.certificate_file().display())).start().await;
    let issuer = TokenIssuer::new();
    let mount = async || csi.mount(&call_as_web(&issuer, &TestPod::new("shop", "web"), READ_APP)).await;

    let away = |path: &str| ScriptedAnswer::redirect(307, &format!("{}{path}", clear.address()));
    vault.script("GET", "/v1/kv/app", [away("/v1/kv/app")]);
    let refusal = mount().await.unwrap_err();
    assert!(refusal.names(&["f", "kv/app"]), "{refusal:?}");
    vault.script("POST", LOGIN, [away(LOGIN)]);
    mount().await.unwrap_err();
    assert_eq!(clear.requests().len(), 0, "the token or the login was sent without TLS");
}

#[tokio::test]
async fn redirects_can_be_turned_off() {
    let setup = FakeVaultSetup::start_with(Csi::options().env("VAULT_DISABLE_REDIRECTS", "true")).await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::redirect(307, "/v1/kv/elsewhere")]);
    setup.vault.script("GET", "/v1/kv/elsewhere", [ScriptedAnswer::app_secret()]);
    setup.mount(READ_APP).await.unwrap_err();
    assert_eq!(setup.vault.requests_to("GET", "/v1/kv/elsewhere").len(), 0);
}
