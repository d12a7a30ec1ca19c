//! Vault fails over: a standby answers for a while, the active node is gone, a new one takes over.

use coffer_tests::{FakeVault, FakeVaultSetup, LOGIN, READ_APP, ScriptedAnswer, TestPod};

use crate::ISSUE;

/// A free port of which the server is gone.
async fn gone() -> String {
    FakeVault::start().await.stop().await
}

#[tokio::test]
async fn a_read_waits_for_the_new_active_node() {
    let setup = FakeVaultSetup::start().await;
    for (name, first, second) in [
        ("standby", ScriptedAnswer::error(472, "standby"), ScriptedAnswer::error(473, "standby")),
        ("sealed", ScriptedAnswer::sealed(), ScriptedAnswer::empty(503)),
        ("health", ScriptedAnswer::empty(429), ScriptedAnswer::empty(473)),
        ("no-leader", ScriptedAnswer::error(500, "no active node"), ScriptedAnswer::html(502)),
    ] {
        let path = format!("/v1/kv/{name}");
        setup.vault.script("GET", &path, [first, second, ScriptedAnswer::app_secret()]);
        let objects = format!("- {{objectName: f, secretPath: kv/{name}, secretKey: k}}");
        let mounted = setup.mount(&objects).await.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        assert_eq!(mounted.text("f"), "v");
        assert_eq!(setup.vault.requests_to("GET", &path).len(), 3, "{name}");
    }
}

#[tokio::test]
async fn a_login_waits_for_the_new_active_node() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    for (name, refused) in [
        ("standby", ScriptedAnswer::error(473, "standby")),
        ("replica", ScriptedAnswer::empty(472)),
        ("sealed", ScriptedAnswer::sealed()),
        ("busy", ScriptedAnswer::busy(429, 0)),
        ("behind", ScriptedAnswer::error(412, "required index state not present")),
    ] {
        let login = ScriptedAnswer::login(&format!("hvs.{name}"), 3600);
        setup.vault.script("POST", LOGIN, [refused, login]);
        let mounted = setup.mount(READ_APP).await.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        assert_eq!(mounted.text("f"), "v");
    }
}

#[tokio::test]
async fn a_mount_without_an_active_node_says_what_the_standby_says() {
    let setup = FakeVaultSetup::start().await;
    for status in [472, 473] {
        let path = format!("/v1/kv/{status}");
        setup.vault.script("GET", &path, [ScriptedAnswer::empty(status)]);
        let objects = format!("- {{objectName: f, secretPath: kv/{status}, secretKey: k}}");
        let refusal = setup.mount(&objects).await.unwrap_err();
        assert!(refusal.names(&["kv/", &format!("HTTP {status}"), "standby"]), "{refusal:?}");
        assert_eq!(setup.vault.requests_to("GET", &path).len(), 3, "{status}");
    }
    setup.vault.script("POST", "/v1/pki/issue/web", [ScriptedAnswer::empty(473)]);
    setup.mount(ISSUE).await.unwrap_err();
    assert_eq!(setup.vault.requests_to("POST", "/v1/pki/issue/web").len(), 1, "issuing requests go once");
}

#[tokio::test]
async fn a_token_outlives_the_failover() {
    let setup = FakeVaultSetup::start().await;
    let call = setup.call(&TestPod::new("shop", "web"), READ_APP);
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    setup.csi.mount(&call).await.unwrap();
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::empty(473)]);
    setup.csi.mount(&call).await.unwrap_err();
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    setup.csi.mount(&call).await.unwrap();
    assert_eq!(setup.vault.logins(), 1);
}

#[tokio::test]
async fn a_redirect_to_a_node_that_is_gone_is_asked_for_again() {
    let setup = FakeVaultSetup::start().await;
    let gone = gone().await;
    for (method, path, objects) in
        [("GET", "/v1/kv/app", READ_APP), ("POST", LOGIN, READ_APP), ("POST", "/v1/pki/issue/web", ISSUE)]
    {
        let answer = if path == LOGIN {
            ScriptedAnswer::login("hvs.after-the-failover", 3600)
        } else {
            ScriptedAnswer::app_secret()
        };
        let before = setup.vault.requests_to(method, path).len();
        setup.vault.script(method, path, [ScriptedAnswer::redirect(307, &format!("{gone}{path}")), answer]);
        let mounted = setup.mount(objects).await.unwrap_or_else(|e| panic!("{method} {path}: {e:?}"));
        assert_eq!(mounted.text("f"), "v");
        assert_eq!(setup.vault.requests_to(method, path).len(), before + 2, "{method} {path}");
    }
}
