//! Which requests a mount makes: none twice, none missing, issuing requests last.

use coffer_tests::{FakeVaultSetup, OpenBaoSetup, ScriptedAnswer, TestPod, until_true};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn objects_of_one_request_share_its_response() {
    let setup = OpenBaoSetup::start().await;
    setup.bao.kv_put("app", json!({ "username": "ada", "password": "s3cret" })).await;
    let objects = "
- {objectName: user, secretPath: secret/data/app, secretKey: username}
- {objectName: password, secretPath: /v1/secret/data/app, secretKey: password, method: GET}
- {objectName: all, secretPath: secret/data/app}
- {objectName: v1, secretPath: 'secret/data/app?version=1', secretKey: password}
";
    let mounted = setup.mount(objects).await.unwrap();
    assert_eq!(mounted.files.len(), 4);
    assert_eq!(setup.bao.requests_to("secret/data/app"), 2, "one with a query, one without");
}

async fn pki_site() -> OpenBaoSetup {
    let setup = OpenBaoSetup::start().await;
    setup.bao.mount_engine("pki", "pki", json!({})).await;
    let root = json!({ "common_name": "root", "key_type": "ec", "key_bits": 256 });
    setup.bao.admin(Method::POST, "pki/root/generate/internal", root).await;
    let role = json!({ "allow_any_name": true, "key_type": "ec", "key_bits": 256, "ttl": "1h" });
    setup.bao.admin(Method::POST, "pki/roles/web", role).await;
    setup
}

#[tokio::test]
async fn certificates_of_different_arguments_are_different_requests() {
    let setup = pki_site().await;
    let objects = "
- {objectName: a.crt, secretPath: pki/issue/web, secretKey: certificate, method: POST, secretArgs: {common_name: a.example}}
- {objectName: a.key, secretPath: pki/issue/web, secretKey: private_key, method: POST, secretArgs: {common_name: a.example}}
- {objectName: a.serial, secretPath: pki/issue/web, secretKey: serial_number, method: POST, secretArgs: {common_name: a.example}}
- {objectName: b.crt, secretPath: pki/issue/web, secretKey: certificate, method: POST, secretArgs: {common_name: b.example}}
- {objectName: b.serial, secretPath: pki/issue/web, secretKey: serial_number, method: PUT, secretArgs: {common_name: b.example}}
";
    let mounted = setup.mount(objects).await.unwrap();
    assert!(mounted.text("a.crt").starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(mounted.text("a.key").contains("PRIVATE KEY"));
    assert_ne!(mounted.text("a.crt"), mounted.text("b.crt"));
    assert_ne!(mounted.text("a.serial"), mounted.text("b.serial"));
    assert_eq!(
        setup.bao.requests_to("pki/issue/web"),
        3,
        "a's three objects share one, b's two methods do not"
    );
}

#[tokio::test]
async fn arguments_in_another_order_are_the_same_request() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("POST", "/v1/transit/x", [ScriptedAnswer::app_secret()]);
    let objects = "
- {objectName: a, secretPath: transit/x, secretKey: k, method: POST, secretArgs: {p: one, q: {b: 1, a: 2}}}
- {objectName: b, secretPath: transit/x, secretKey: k, method: POST, secretArgs: {q: {a: 2, b: 1}, p: one}}
- {objectName: c, secretPath: transit/x, secretKey: k, method: POST, secretArgs: {p: two}}
- {objectName: d, secretPath: transit/x, secretKey: k, method: POST}
";
    setup.mount(objects).await.unwrap();
    let mut bodies: Vec<_> =
        setup.vault.requests_to("POST", "/v1/transit/x").iter().map(|r| r.json().to_string()).collect();
    bodies.sort();
    assert_eq!(bodies.len(), 3, "{bodies:?}");
    assert!(bodies.contains(&json!({ "p": "one", "q": { "a": 2, "b": 1 } }).to_string()), "{bodies:?}");
    assert!(bodies.contains(&json!({ "p": "two" }).to_string()), "{bodies:?}");
}

#[tokio::test]
async fn nothing_is_issued_when_a_read_fails() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script(
        "POST",
        "/v1/pki/issue/web",
        [ScriptedAnswer::secret(json!({ "certificate": "PEM" }))],
    );
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::error(403, "permission denied")]);
    let objects = "
- {objectName: cert, secretPath: pki/issue/web, secretKey: certificate, method: POST, secretArgs: {common_name: a}}
- {objectName: denied, secretPath: kv/app, secretKey: k}
";
    let refusal = setup.mount(objects).await.unwrap_err();
    assert!(refusal.names(&["denied", "kv/app"]), "{refusal:?}");
    assert_eq!(setup.vault.requests_to("POST", "/v1/pki/issue/web").len(), 0, "the lease would be lost");
}

#[tokio::test]
async fn reads_go_in_parallel() {
    let setup = FakeVaultSetup::start().await;
    let mut objects = String::new();
    for n in 0..20 {
        let answer = ScriptedAnswer::secret(json!({ "k": format!("v{n}") })).held();
        setup.vault.script("GET", &format!("/v1/kv/{n}"), [answer]);
        objects.push_str(&format!("- {{objectName: f{n}, secretPath: kv/{n}, secretKey: k}}\n"));
    }
    let call = setup.call(&TestPod::new("shop", "web"), &objects);
    let reads = || setup.vault.requests().iter().filter(|request| request.method == "GET").count();
    let (mounted, ()) = tokio::join!(setup.csi.mount(&call), async {
        until_true("8 reads at once", async || reads() >= 8).await;
        setup.vault.release();
    });
    let mounted = mounted.unwrap();
    assert_eq!(mounted.files.len(), 20);
    assert_eq!((mounted.text("f0"), mounted.text("f19")), ("v0", "v19"));
    assert_eq!(reads(), 20);
}

#[tokio::test]
async fn one_failed_object_fails_the_mount_whole() {
    let setup = OpenBaoSetup::start().await;
    setup.bao.kv_put("app", json!({ "password": "s3cret" })).await;
    let objects = "
- {objectName: good, secretPath: secret/data/app, secretKey: password}
- {objectName: bad, secretPath: secret/data/none, secretKey: password}
";
    let refusal = setup.mount(objects).await.unwrap_err();
    assert!(refusal.names(&["bad", "secret/data/none"]), "{refusal:?}");
}

#[tokio::test]
async fn paths_reach_vault_as_the_class_wrote_them() {
    let setup = FakeVaultSetup::start().await;
    for path in [
        "/v1/kv/a%20b",
        "/v1/kv/%C3%BC",
        "/v1/kv/a%2520b",
        "/v1/kv/100%25",
        "/v1/kv/%252e%252e/sys",
        "/v1/kv/a%23b",
    ] {
        setup.vault.script("GET", path, [ScriptedAnswer::secret(json!({ "k": path }))]);
    }
    for (written, sent) in [
        ("kv/a b", "/v1/kv/a%20b"),
        ("kv/ü", "/v1/kv/%C3%BC"),
        ("kv/a%20b", "/v1/kv/a%2520b"),
        ("kv/100%", "/v1/kv/100%25"),
        ("kv/%2e%2e/sys", "/v1/kv/%252e%252e/sys"),
        ("kv/a#b", "/v1/kv/a%23b"),
    ] {
        let objects = format!("- {{objectName: f, secretPath: '{written}', secretKey: k}}");
        let mounted = setup.mount(&objects).await.unwrap_or_else(|refusal| panic!("{written}: {refusal:?}"));
        assert_eq!(mounted.text("f"), sent, "{written}");
    }
}

#[tokio::test]
async fn every_request_carries_what_vault_asks_of_a_client() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    let pod = TestPod::new("shop", "web");
    let call = setup.call(&pod, "- {objectName: f, secretPath: kv/app, secretKey: k}");
    setup.csi.mount(&call.param("vaultNamespace", "team/a")).await.unwrap();
    let requests = setup.vault.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    for request in &requests {
        assert!(request.headers.contains_key("x-vault-request"), "no X-Vault-Request: {request:?}");
        assert_eq!(request.headers.get("x-vault-namespace").map(|ns| ns.trim_matches('/')), Some("team/a"));
    }
    assert_eq!(requests[0].json()["role"], "web");
    assert_eq!(requests[0].token(), None, "a login carries no token");
    assert!(requests[1].token().is_some());
}
