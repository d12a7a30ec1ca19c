//! The operator's client certificate and the pods' service account tokens: which servers get them.

use std::path::{Path, PathBuf};

use coffer_tests::{
    Csi, CsiOptions, FakeVault, LOGIN, MountCall, OpenBao, OpenBaoSetup, READ_APP, ScriptedAnswer, TestCa,
    TestPod, TokenIssuer, TokenRequest, call_as_web,
};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

/// An OpenBao whose auth method `cert` knows the agent's client certificate: who shows it may read
/// `secret/data/victim`.
struct CertSetup {
    ca: TestCa,
    bao: OpenBao,
    issuer: TokenIssuer,
    dir: TempDir,
}

const VICTIM: &str = "- {objectName: f, secretPath: secret/data/victim, secretKey: k}";
const OWN: &str = "- {objectName: f, secretPath: secret/data/app, secretKey: k}";

impl CertSetup {
    async fn new() -> Self {
        let (ca, issuer) = (TestCa::new(), TokenIssuer::new());
        let bao = OpenBao::start_with_tls(&ca).await;
        OpenBaoSetup::prepare(&bao, &issuer).await;
        bao.policy("web", "path \"secret/data/app\" { capabilities = [\"read\"] }").await;
        bao.policy("victim", "path \"secret/data/victim\" { capabilities = [\"read\"] }").await;
        bao.kv_put("app", json!({ "k": "v" })).await;
        bao.kv_put("victim", json!({ "k": "another tenant's" })).await;
        for mount in ["cert", "mutual"] {
            bao.admin(Method::POST, &format!("sys/auth/{mount}"), json!({ "type": "cert" })).await;
            let role = json!({ "certificate": ca.certificate(), "token_policies": ["victim"] });
            bao.admin(Method::POST, &format!("auth/{mount}/certs/agent"), role).await;
        }
        let dir = tempfile::tempdir().unwrap();
        let client = ca.issue("agent", &[]);
        std::fs::write(dir.path().join("tls.crt"), client.certificate).unwrap();
        std::fs::write(dir.path().join("tls.key"), client.key).unwrap();
        Self { ca, bao, issuer, dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn address(&self, host: &str) -> String {
        format!("https://{host}:{}", self.bao.tls_port())
    }

    fn options(&self) -> CsiOptions {
        let file = |flag: &str, file: &Path| format!("-vault-tls-{flag}={}", file.display());
        Csi::options()
            .flag(format!("-vault-addr={}", self.address("127.0.0.1")))
            .flag(file("ca-cert", &self.ca.certificate_file()))
            .flag(file("client-cert", &self.file("tls.crt")))
            .flag(file("client-key", &self.file("tls.key")))
    }

    fn call(&self, objects: &str) -> MountCall {
        call_as_web(&self.issuer, &TestPod::new("shop", "web"), objects)
    }
}

#[tokio::test]
async fn a_class_cannot_log_in_by_the_agents_client_certificate() {
    let setup = CertSetup::new().await;
    let csi = setup.options().start().await;
    for (name, mount) in [("vaultAuthMountPath", "cert"), ("baoKubernetesMountPath", "/mutual/")] {
        let call = setup.call(VICTIM).param("roleName", "agent").param(name, mount);
        let refusal = csi.mount(&call).await.expect_err("the agent's own rights");
        assert!(refusal.names(&[name, mount.trim_matches('/'), "-vault-auth-mounts"]), "{refusal:?}");
    }
    let login = "- {objectName: f, secretPath: auth/cert/login, secretKey: k, method: POST}";
    let refusal = csi.mount(&setup.call(login)).await.expect_err("a login as the agent");
    assert!(refusal.names(&["f", "a login"]), "{refusal:?}");
    assert_eq!(setup.bao.logins(), 0);
    // the configured mount, and what the operator lists
    assert_eq!(csi.mount(&setup.call(OWN)).await.unwrap().text("f"), "v");
    let open = setup.options().flag("-vault-auth-mounts=other,cert").start().await;
    let call = setup.call(VICTIM).param("roleName", "agent").param("vaultAuthMountPath", "cert");
    assert_eq!(open.mount(&call).await.unwrap().text("f"), "another tenant's");
}

#[tokio::test]
async fn another_server_does_not_see_the_agents_client_certificate() {
    let setup = CertSetup::new().await;
    let csi = setup.options().start().await;
    // the same server by another name stands for a server of the tenant's
    let elsewhere = |objects| setup.call(objects).param("vaultAddress", &setup.address("localhost"));
    let call = elsewhere(VICTIM).param("roleName", "agent").param("vaultAuthMountPath", "cert");
    csi.mount(&call).await.expect_err("no certificate, no login");
    assert_eq!(csi.mount(&elsewhere(OWN)).await.unwrap().text("f"), "v", "the server is reached");

    std::os::unix::fs::symlink(setup.file("tls.key"), setup.file("innocent.key")).unwrap();
    std::fs::hard_link(setup.file("tls.crt"), setup.file("mine.crt")).unwrap();
    std::fs::create_dir(setup.file("sub")).unwrap();
    for (certificate, key) in [
        ("tls.crt", "tls.key"),
        ("sub/../tls.crt", "none.key"),
        ("none.crt", "innocent.key"),
        ("mine.crt", "none.key"),
    ] {
        let call = elsewhere(OWN)
            .param("vaultTLSClientCertPath", setup.file(certificate).to_str().unwrap())
            .param("vaultTLSClientKeyPath", setup.file(key).to_str().unwrap());
        let refusal = csi.mount(&call).await.expect_err(certificate);
        assert!(
            refusal.names(&["vaultTLSClient", "operator's own", "-vault-trusted-addresses"]),
            "{refusal:?}"
        );
    }
    // a gateway at the operator's address may lead this name elsewhere
    let named = setup.call(VICTIM).param("roleName", "agent").param("vaultTLSServerName", "localhost");
    csi.mount(&named.param("vaultAuthMountPath", "cert")).await.expect_err("no certificate, no login");
    let trusted = format!("-vault-trusted-addresses={}", setup.address("LOCALHOST"));
    let open = setup.options().flag(trusted).flag("-vault-auth-mounts=cert").start().await;
    assert_eq!(open.mount(&call).await.unwrap().text("f"), "another tenant's");
}

/// An agent, and a server that a class names, which is not the operator's.
struct TokenSetup {
    other: FakeVault,
    issuer: TokenIssuer,
}

const CLUSTERS: &str = "https://kubernetes.default.svc";

impl TokenSetup {
    async fn new() -> Self {
        let other = FakeVault::start().await;
        other.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
        Self { other, issuer: TokenIssuer::new() }
    }

    fn token(&self, pod: &TestPod, audience: &str) -> String {
        self.issuer
            .token_with(pod, &TokenRequest { audience: audience.to_owned(), ..TokenRequest::default() })
    }

    /// Returns a call with a token for each pair of audiences: the one it was requested for, and the
    /// one in it.
    fn call(&self, tokens: &[(&str, &str)]) -> MountCall {
        let pod = TestPod::new("shop", "web");
        let call = MountCall::new(&pod).param("roleName", "web").objects(READ_APP);
        let call = call.param("vaultAddress", self.other.address());
        tokens.iter().fold(call, |call, (key, audience)| call.token(key, &self.token(&pod, audience)))
    }
}

#[tokio::test]
async fn a_token_for_the_cluster_goes_to_the_operators_vault_alone() {
    let setup = TokenSetup::new().await;
    let csi = Csi::options().start().await;
    let issuer = "https://kubernetes.default.svc.cluster.local";
    let cases = [
        (setup.call(&[("", CLUSTERS)]), "audience"),
        (setup.call(&[("", CLUSTERS), ("other", "other")]), "audience"),
        (setup.call(&[(CLUSTERS, CLUSTERS)]).param("audience", CLUSTERS), CLUSTERS),
        (setup.call(&[(issuer, issuer)]).param("vaultAudience", issuer), issuer),
        (setup.call(&[("vault", CLUSTERS)]), CLUSTERS),
        (setup.call(&[("mine", CLUSTERS)]).param("audience", "mine"), CLUSTERS),
        (setup.call(&[("mine", "yours")]).param("audience", "mine"), "mine"),
        (setup.call(&[]), "audience"),
    ];
    for (call, part) in &cases {
        let refusal = csi.mount(call).await.expect_err(part);
        assert!(refusal.names(&[part, "-vault-trusted-addresses"]), "{refusal:?}");
        assert!(!refusal.message.contains("eyJ"), "{refusal:?}");
    }
    assert_eq!(setup.other.requests().len(), 0, "a token of the cluster's audience was sent");

    for flag in ["-vault-trusted-addresses=*".to_owned(), format!("-vault-addr={}", setup.other.address())] {
        let csi = Csi::options().flag(&flag).start().await;
        let served = setup.other.logins();
        assert_eq!(csi.mount(&cases[0].0).await.expect(&flag).text("f"), "v");
        assert_eq!(setup.other.logins(), served + 1, "{flag}");
    }
}

#[tokio::test]
async fn the_chosen_token_alone_leaves_and_only_for_its_own_audience() {
    let setup = TokenSetup::new().await;
    let csi = Csi::options().start().await;
    for (call, audience) in [
        (setup.call(&[("vault", "vault"), ("", CLUSTERS), ("aws", "aws")]), "vault"),
        (setup.call(&[("vault", "vault"), ("", CLUSTERS), ("aws", "aws")]).param("audience", "aws"), "aws"),
    ] {
        assert_eq!(csi.mount(&call).await.unwrap().text("f"), "v");
        let logins = setup.other.requests_to("POST", LOGIN);
        let jwt = logins.last().unwrap().json()["jwt"].as_str().unwrap().to_owned();
        let payload =
            data_encoding::BASE64URL_NOPAD.decode(jwt.split('.').nth(1).unwrap().as_bytes()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(claims["aud"], json!([audience]));
    }
    assert_eq!(setup.other.logins(), 2);
    // a driver may send something else than a JWT
    let pod = TestPod::new("shop", "web");
    let call = MountCall::new(&pod).token("vault", "opaque").param("roleName", "web").objects(READ_APP);
    csi.mount(&call.param("vaultAddress", setup.other.address())).await.unwrap();
}
