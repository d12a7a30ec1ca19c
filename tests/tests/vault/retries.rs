//! Which requests are retried.

use std::time::Duration;

use coffer_tests::{Csi, FakeVault, FakeVaultSetup, LOGIN, READ_APP, ScriptedAnswer, TestPod, until_true};

use crate::ISSUE;

#[tokio::test]
async fn a_read_is_retried_after_a_temporary_fault() {
    let setup = FakeVaultSetup::start().await;
    for (name, fault) in [
        ("412", ScriptedAnswer::error(412, "required index state not present")),
        ("429", ScriptedAnswer::busy(429, 1)),
        ("500", ScriptedAnswer::error(500, "internal error")),
        ("502", ScriptedAnswer::html(502)),
        ("503", ScriptedAnswer::sealed()),
        ("504", ScriptedAnswer::empty(504)),
    ] {
        let path = format!("/v1/kv/{name}");
        setup.vault.script("GET", &path, [fault, ScriptedAnswer::app_secret()]);
        let objects = format!("- {{objectName: f, secretPath: kv/{name}, secretKey: k}}");
        let mounted = setup.mount(&objects).await.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        assert_eq!(mounted.text("f"), "v");
        assert_eq!(setup.vault.requests_to("GET", &path).len(), 2, "{name}");
    }
}

#[tokio::test]
async fn a_list_is_retried_too() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("LIST", "/v1/kv/app", [ScriptedAnswer::sealed(), ScriptedAnswer::app_secret()]);
    setup.mount("- {objectName: f, secretPath: kv/app, secretKey: k, method: LIST}").await.unwrap();
}

#[tokio::test]
async fn a_permanent_fault_is_not_retried() {
    let setup = FakeVaultSetup::start().await;
    for status in [400, 404, 405] {
        let path = format!("/v1/kv/{status}");
        setup.vault.script("GET", &path, [ScriptedAnswer::error(status, "no"), ScriptedAnswer::app_secret()]);
        let objects = format!("- {{objectName: f, secretPath: kv/{status}, secretKey: k}}");
        setup.mount(&objects).await.unwrap_err();
        assert_eq!(setup.vault.requests_to("GET", &path).len(), 1, "{status}");
    }
}

#[tokio::test]
async fn an_issuing_request_is_never_sent_twice() {
    let setup = FakeVaultSetup::start().await;
    for (name, fault) in [
        ("412", ScriptedAnswer::error(412, "required index state not present")),
        ("429", ScriptedAnswer::busy(429, 0)),
        ("500", ScriptedAnswer::error(500, "internal error")),
        ("503", ScriptedAnswer::sealed()),
        ("closes-at-once", ScriptedAnswer::closes_at_once()),
        ("closes-midway", ScriptedAnswer::closes_midway()),
    ] {
        for method in ["POST", "PUT"] {
            let path = format!("/v1/pki/{name}");
            setup.vault.script(method, &path, [fault.clone(), ScriptedAnswer::app_secret()]);
            // The read comes first, so that the issuing request uses a connection already in use.
            setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
            let objects = format!(
                "- {{objectName: f, secretPath: pki/{name}, secretKey: k, method: {method}, secretArgs: {{a: b}}}}\n\
                 - {{objectName: g, secretPath: kv/app, secretKey: k}}"
            );
            let refusal = setup.mount(&objects).await.expect_err(name);
            assert!(refusal.names(&["f", &format!("pki/{name}")]), "{refusal:?}");
            assert_eq!(setup.vault.requests_to(method, &path).len(), 1, "{method} {name}");
        }
    }
}

#[tokio::test]
async fn a_login_that_was_sent_is_not_sent_again() {
    let setup = FakeVaultSetup::start().await;
    for fault in [ScriptedAnswer::error(500, "internal error"), ScriptedAnswer::closes_at_once()] {
        setup.vault.script("POST", LOGIN, [fault]);
        let before = setup.vault.logins();
        setup.mount(READ_APP).await.unwrap_err();
        assert_eq!(setup.vault.logins(), before + 1);
    }
}

#[tokio::test]
async fn a_retry_after_beyond_the_deadline_ends_the_mount() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::busy(429, 3600)]);
    let call = setup.call(&TestPod::new("shop", "web"), READ_APP).timeout(Some(Duration::from_secs(30)));
    let refusal = setup.csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&["f", "kv/app", "429"]), "{refusal:?}");
}

#[tokio::test]
async fn the_number_of_retries_is_set_as_in_vault_s_own_client() {
    for (retries, requests) in [("0", 1), ("3", 4)] {
        let setup = FakeVaultSetup::start_with(Csi::options().env("VAULT_MAX_RETRIES", retries)).await;
        setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::error(500, "internal error")]);
        setup.mount(READ_APP).await.unwrap_err();
        assert_eq!(setup.vault.requests_to("GET", "/v1/kv/app").len(), requests);
    }
}

#[tokio::test]
async fn a_waiting_mount_finds_a_vault_that_comes_back() {
    let first = FakeVaultSetup::start().await;
    first.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    let call = first.call(&TestPod::new("shop", "web"), READ_APP);
    first.csi.mount(&call).await.unwrap();

    let FakeVaultSetup { vault, csi, .. } = first;
    let failed = async || csi.metrics().await.sum("coffer_vault_requests_total", &["status=\"none\""]);
    let address = vault.stop().await;
    let (mounted, _vault) = tokio::join!(csi.mount(&call), async {
        until_true("a failed attempt", async || failed().await > 0.0).await;
        let vault = FakeVault::start_at(&address).await;
        vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
        vault
    });
    assert_eq!(mounted.expect("Vault is back, and the token is still valid").text("f"), "v");
}

#[tokio::test]
async fn an_issuing_mount_sends_its_request_once() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("POST", "/v1/pki/issue/web", [ScriptedAnswer::app_secret()]);
    assert_eq!(setup.mount(ISSUE).await.unwrap().text("f"), "v");
    assert_eq!(setup.vault.requests_to("POST", "/v1/pki/issue/web").len(), 1);
}
