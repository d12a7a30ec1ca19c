//! Flags and environment variables: those of HashiCorp's provider, with its precedence.

use std::process::Command;

use coffer_tests::{
    Csi, CsiOptions, FakeVault, MountCall, READ_APP, ScriptedAnswer, TestPod, TokenIssuer, call_as_web,
    coffer_binary,
};

const NOWHERE: &str = "http://127.0.0.1:9";

struct SettingsSetup {
    vault: FakeVault,
    issuer: TokenIssuer,
}

impl SettingsSetup {
    async fn new() -> Self {
        let vault = FakeVault::start().await;
        vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
        Self { vault, issuer: TokenIssuer::new() }
    }

    fn call(&self) -> MountCall {
        call_as_web(&self.issuer, &TestPod::new("shop", "web"), READ_APP)
    }

    async fn reaches(&self, what: &str, options: CsiOptions) {
        let before = self.vault.requests().len();
        let mounted = options.start().await.mount(&self.call()).await;
        assert_eq!(mounted.unwrap_or_else(|e| panic!("{what}: {e:?}")).text("f"), "v");
        assert_eq!(self.vault.requests().len(), before + 2, "{what}");
    }
}

#[tokio::test]
async fn flags_take_one_dash_or_two_and_values_in_either_form() {
    let setup = SettingsSetup::new().await;
    let address = setup.vault.address();
    let one = Csi::options().flag(format!("-vault-addr={address}"));
    setup.reaches("one dash", one).await;
    setup.reaches("two dashes", Csi::options().flag(format!("--vault-addr={address}"))).await;
    setup.reaches("apart", Csi::options().flag("-vault-addr").flag(address)).await;
    setup.reaches("two dashes, apart", Csi::options().flag("--vault-addr").flag(address)).await;
    setup.reaches("openbao's", Csi::options().flag(format!("-openbao-addr={address}"))).await;
    let many = one_of_each().into_iter().fold(Csi::options(), CsiOptions::flag);
    setup.reaches("every flag", many.flag(format!("-vault-addr={address}"))).await;
}

fn one_of_each() -> [&'static str; 8] {
    [
        "-debug",
        "-log-level=debug",
        "-log-format=json",
        "-hmac-secret-name=a-name",
        "-cache-size=10",
        "-vault-mount=kubernetes",
        "-vault-tls-server-name=vault.example",
        "-vault-tls-skip-verify=false",
    ]
}

#[tokio::test]
async fn the_class_overrides_flags_and_flags_the_environment() {
    let setup = SettingsSetup::new().await;
    let address = setup.vault.address();
    setup.reaches("environment", Csi::options().env("VAULT_ADDR", address)).await;
    setup
        .reaches("bao overrides vault", Csi::options().env("BAO_ADDR", address).env("VAULT_ADDR", NOWHERE))
        .await;
    let flag = Csi::options().flag(format!("-vault-addr={address}")).env("VAULT_ADDR", NOWHERE);
    setup.reaches("a flag overrides the environment", flag).await;

    let csi = Csi::options().flag(format!("-vault-addr={NOWHERE}")).start().await;
    csi.mount(&setup.call().param("vaultAddress", address)).await.expect("the class overrides the flag");
}

#[tokio::test]
async fn mount_and_namespace_are_taken_from_flags_and_environment() {
    let setup = SettingsSetup::new().await;
    let base = Csi::options().flag(format!("-vault-addr={}", setup.vault.address()));
    let options =
        base.clone().flag("-vault-mount=my/jwt").env("VAULT_NAMESPACE", "weak").flag("-vault-namespace=team");
    setup.reaches("mount and namespace", options).await;
    let login = setup.vault.requests_to("POST", "/v1/auth/my/jwt/login").pop().expect("a login at my/jwt");
    assert_eq!(login.headers.get("x-vault-namespace").map(|ns| ns.trim_matches('/')), Some("team"));

    setup.reaches("environment's namespace", base.env("VAULT_NAMESPACE", "weak")).await;
    let last = setup.vault.requests().pop().unwrap();
    assert_eq!(last.headers.get("x-vault-namespace").map(|ns| ns.trim_matches('/')), Some("weak"));
}

#[tokio::test]
async fn a_socket_called_openbao_has_openbao_s_defaults() {
    let setup = SettingsSetup::new().await;
    let dir = tempfile::tempdir().unwrap();
    let csi = Csi::options().socket(&dir.path().join("openbao.sock")).env("BAO_ADDR", setup.vault.address());
    let csi = csi.start().await;
    let pod = TestPod::new("shop", "web");
    let call = MountCall::new(&pod).param("openbaoRoleName", "web").objects(READ_APP);
    csi.mount(&call.token("openbao", &setup.issuer.token(&pod)))
        .await
        .expect("the token of audience openbao");
}

#[tokio::test]
async fn a_proxy_is_used_where_one_is_set() {
    let setup = SettingsSetup::new().await;
    let target = "http://vault.example:8200";
    setup.vault.script(
        "POST",
        &format!("{target}/v1/auth/kubernetes/login"),
        [ScriptedAnswer::login("hvs.x", 3600)],
    );
    setup.vault.script("GET", &format!("{target}/v1/kv/app"), [ScriptedAnswer::app_secret()]);
    for name in ["VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY"] {
        let options = Csi::options().env(name, setup.vault.address()).env("VAULT_ADDR", target);
        setup.reaches(name, options).await;
    }
}

#[test]
fn the_version_is_printed() {
    for flag in ["-version", "--version"] {
        let output = Command::new(coffer_binary("coffer-csi")).env_clear().arg(flag).output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(env!("CARGO_PKG_VERSION")), "{text}");
    }
}

#[tokio::test]
async fn invalid_flags_are_named_at_the_start() {
    for (flag, part) in [
        ("-no-such-flag=1", "no-such-flag"),
        ("-log-format=xml", "xml"),
        ("-cache-size=many", "many"),
        ("-vault-addr=not an address", "not an address"),
        ("-health-addr=nowhere", "nowhere"),
        ("an-argument", "an-argument"),
    ] {
        let mut csi = Csi::options().flag(flag).spawn();
        assert!(!csi.wait().await.success(), "{flag}");
        assert!(csi.log().contains(part), "{flag}: {}", csi.log());
        assert!(!csi.log().contains("panicked"), "{flag}: {}", csi.log());
    }
}

/// The socket is served in spite of other configuration errors, because the driver would hang
/// without it.
#[tokio::test]
async fn a_missing_file_is_named_at_the_mount() {
    let setup = SettingsSetup::new().await;
    for (flag, address) in [
        ("-vault-tls-ca-cert=/nowhere/ca.pem", "https://127.0.0.1:9"),
        ("-hmac-key-file=/nowhere/key", setup.vault.address()),
    ] {
        let csi = Csi::options().flag(flag).flag(format!("-vault-addr={address}")).start().await;
        let refusal = csi.mount(&setup.call()).await.unwrap_err();
        assert!(refusal.names(&["/nowhere/"]), "{flag}: {refusal:?}");
    }
}
