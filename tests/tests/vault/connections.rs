//! Connections to Vault that die: they are left, and what issues nothing is asked again.

use coffer_tests::{
    Csi, FakeVault, MountCall, MountRefusal, Mounted, OpenBao, OpenBaoSetup, READ_APP, Relay, RelayClose,
    ScriptedAnswer, TestCa, TestPod, TokenIssuer, call_as_web,
};
use reqwest::Method;
use serde_json::json;

const READ: &str = "- {objectName: f, secretPath: secret/data/app, secretKey: k}";

/// An OpenBao behind a relay, and a provider that uses it.
struct RelayedBao {
    bao: OpenBao,
    relay: Relay,
    csi: Csi,
    issuer: TokenIssuer,
    pod: TestPod,
}

impl RelayedBao {
    /// Starts them over plain HTTP/1.1.
    async fn over_http1() -> Self {
        let bao = OpenBao::start().await;
        let relay = Relay::start(bao.address()).await;
        Self::with(bao, relay, Csi::options()).await
    }

    /// Starts them over TLS with HTTP/2.
    async fn over_http2() -> Self {
        let ca = TestCa::new();
        let bao = OpenBao::start_with_tls(&ca).await;
        let relay = Relay::start(&format!("https://127.0.0.1:{}", bao.tls_port())).await;
        let options = Csi::options().env("VAULT_CACERT_BYTES", ca.certificate());
        Self::with(bao, relay, options).await
    }

    async fn with(bao: OpenBao, relay: Relay, options: coffer_tests::CsiOptions) -> Self {
        let issuer = TokenIssuer::new();
        OpenBaoSetup::prepare(&bao, &issuer).await;
        bao.kv_put("app", json!({ "k": "v" })).await;
        let csi = options.flag(format!("-vault-addr={}", relay.address())).start().await;
        Self { bao, relay, csi, issuer, pod: TestPod::new("shop", "web") }
    }

    fn call(&self, objects: &str) -> MountCall {
        call_as_web(&self.issuer, &self.pod, objects)
    }

    async fn mount(&self, objects: &str) -> Result<Mounted, MountRefusal> {
        self.csi.mount(&self.call(objects)).await
    }
}

async fn both() -> [(&'static str, RelayedBao); 2] {
    let (http1, http2) = tokio::join!(RelayedBao::over_http1(), RelayedBao::over_http2());
    [("HTTP/1.1", http1), ("HTTP/2", http2)]
}

#[tokio::test]
async fn a_connection_that_goes_dark_costs_no_mount() {
    let [http1, http2] = both().await;
    let mounts = async |(name, setup): (&str, RelayedBao)| {
        setup.mount(READ).await.unwrap();
        assert_eq!(setup.relay.connections(), 1, "{name}");
        setup.relay.go_dark();
        for _ in 0..3 {
            let mounted = setup.mount(READ).await.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
            assert_eq!(mounted.text("f"), "v");
        }
        assert_eq!(setup.relay.connections(), 2, "{name}: the dark connection is left");
        assert_eq!(setup.bao.requests_to("secret/data/app"), 4, "{name}");
    };
    tokio::join!(mounts(http1), mounts(http2));
}

#[tokio::test]
async fn many_mounts_at_once_leave_dark_connections() {
    for (name, setup) in both().await {
        let mounts = async || {
            let mounts: Vec<_> = (0..8).map(|_| setup.mount(READ)).collect();
            for mounted in futures_util::future::join_all(mounts).await {
                assert_eq!(mounted.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}")).text("f"), "v");
            }
        };
        setup.mount(READ).await.unwrap();
        mounts().await;
        setup.relay.go_dark();
        mounts().await;
        assert_eq!(setup.bao.requests_to("secret/data/app"), 17, "{name}");
    }
}

#[tokio::test]
async fn a_read_is_made_again_if_its_kept_connection_closes() {
    for (name, setup) in both().await {
        setup.mount(READ).await.unwrap();
        for how in [RelayClose::Fin, RelayClose::Reset, RelayClose::Fin] {
            let before = setup.relay.closed();
            setup.relay.close_at_next_request(how);
            let mounted = setup.mount(READ).await.unwrap_or_else(|e| panic!("{name} {how:?}: {e:?}"));
            assert_eq!(mounted.text("f"), "v");
            assert_eq!(setup.relay.closed(), before + 1, "{name} {how:?}");
        }
        assert_eq!(setup.bao.requests_to("secret/data/app"), 4, "{name}: each mount asks once");
    }
}

#[tokio::test]
async fn the_first_read_of_a_new_path_is_made_again_too() {
    for (name, setup) in both().await {
        setup.bao.mount_engine("pki", "pki", json!({})).await;
        let root = json!({ "common_name": "root", "key_type": "ec", "key_bits": 256 });
        setup.bao.admin(Method::POST, "pki/root/generate/internal", root).await;
        setup.mount(READ).await.unwrap();
        setup.relay.close_at_next_request(RelayClose::Reset);
        let ca = "- {objectName: f, secretPath: pki/cert/ca, secretKey: certificate}";
        let mounted = setup.mount(ca).await.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        assert!(mounted.text("f").starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(setup.relay.closed(), 1, "{name}");
    }
}

#[tokio::test]
async fn what_may_issue_is_not_asked_again_and_the_error_says_so() {
    for (name, setup) in both().await {
        setup.bao.mount_engine("pki", "pki", json!({})).await;
        let root = json!({ "common_name": "root", "key_type": "ec", "key_bits": 256 });
        setup.bao.admin(Method::POST, "pki/root/generate/internal", root).await;
        let role = json!({ "allow_any_name": true, "key_type": "ec", "key_bits": 256, "ttl": "1h" });
        setup.bao.admin(Method::POST, "pki/roles/web", role).await;
        let issue = "- {objectName: f, secretPath: pki/issue/web, secretKey: certificate, method: POST, secretArgs: {common_name: a}}";
        setup.mount(READ).await.unwrap();
        for how in [RelayClose::Fin, RelayClose::Reset] {
            setup.relay.close_at_next_request(how);
            let before = setup.bao.requests_to("pki/issue/web");
            let refusal = setup.mount(issue).await.expect_err(name);
            assert!(
                refusal.names(&["\"f\"", "pki/issue/web", "it was not sent again"]),
                "{name}: {refusal:?}"
            );
            assert_eq!(setup.bao.requests_to("pki/issue/web"), before, "{name}");
            setup.mount(issue).await.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        }
    }
}

/// A fake Vault behind a relay, and a provider that uses it.
async fn relayed_fake(retries: &str) -> (FakeVault, Relay, Csi) {
    let vault = FakeVault::start().await;
    let relay = Relay::start(vault.address()).await;
    let options = Csi::options().env("VAULT_MAX_RETRIES", retries);
    let csi = options.flag(format!("-vault-addr={}", relay.address())).start().await;
    vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    (vault, relay, csi)
}

#[tokio::test]
async fn a_get_of_an_unknown_engine_is_not_asked_again() {
    let (vault, relay, csi) = relayed_fake("2").await;
    let (issuer, pod) = (TokenIssuer::new(), TestPod::new("shop", "web"));
    vault.script("GET", "/v1/db/creds/app", [ScriptedAnswer::app_secret()]);
    vault.script("GET", "/v1/team/app", [ScriptedAnswer::app_secret()]);
    for (engine, asked) in [("database", 1), ("kv", 2)] {
        let path = if engine == "kv" { "team/app" } else { "db/creds/app" };
        let about = format!("/v1/sys/internal/ui/mounts/{path}");
        vault.script("GET", &about, [ScriptedAnswer::secret(json!({ "type": engine, "path": "x/" }))]);
        csi.mount(&call_as_web(&issuer, &pod, READ_APP)).await.unwrap();
        relay.close_at_next_request(RelayClose::Fin);
        let objects = format!("- {{objectName: f, secretPath: {path}, secretKey: k}}");
        let mounted = csi.mount(&call_as_web(&issuer, &pod, &objects)).await;
        assert_eq!(vault.requests_to("GET", &about).len(), 1, "{engine}");
        assert_eq!(vault.requests_to("GET", &format!("/v1/{path}")).len(), asked - 1, "{engine}");
        match mounted {
            Ok(mounted) => assert_eq!((mounted.text("f"), asked), ("v", 2)),
            Err(refusal) => assert!(asked == 1 && refusal.names(&["not sent again"]), "{refusal:?}"),
        }
    }
}

#[tokio::test]
async fn without_retries_a_broken_read_fails() {
    let (vault, relay, csi) = relayed_fake("0").await;
    let call = call_as_web(&TokenIssuer::new(), &TestPod::new("shop", "web"), READ_APP);
    csi.mount(&call).await.unwrap();
    relay.close_at_next_request(RelayClose::Reset);
    let refusal = csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&["kv/app", "broke"]) && !refusal.names(&["not sent again"]), "{refusal:?}");
    assert_eq!(vault.requests_to("GET", "/v1/kv/app").len(), 1);
    csi.mount(&call).await.unwrap();
}

#[tokio::test]
async fn answers_that_break_off_are_asked_for_again() {
    let (vault, _relay, csi) = relayed_fake("2").await;
    let call = |path: &str| {
        let objects = format!("- {{objectName: f, secretPath: {path}, secretKey: k}}");
        call_as_web(&TokenIssuer::new(), &TestPod::new("shop", "web"), &objects)
    };
    for (name, fault) in
        [("midway", ScriptedAnswer::closes_midway()), ("at-once", ScriptedAnswer::closes_at_once())]
    {
        let path = format!("/v1/secret/{name}");
        vault.script("GET", &path, [fault.clone(), fault, ScriptedAnswer::app_secret()]);
        let mounted = csi.mount(&call(&format!("secret/{name}"))).await;
        assert_eq!(mounted.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}")).text("f"), "v");
        assert_eq!(vault.requests_to("GET", &path).len(), 3, "{name}");
    }
}

#[tokio::test]
async fn a_login_that_was_lost_is_not_repeated_and_the_next_mount_works() {
    let (vault, relay, csi) = relayed_fake("2").await;
    let issuer = TokenIssuer::new();
    let mount =
        async |name: &str| csi.mount(&call_as_web(&issuer, &TestPod::new("shop", name), READ_APP)).await;
    mount("a").await.unwrap();
    relay.close_at_next_request(RelayClose::Fin);
    let refusal = mount("b").await.unwrap_err();
    assert!(refusal.names(&["login", "not sent again"]), "{refusal:?}");
    assert_eq!(vault.logins(), 1);
    mount("b").await.unwrap();
}
