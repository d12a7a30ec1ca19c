//! Vault behind proxies.

use std::net::SocketAddr;

use coffer_tests::{
    Csi, CsiOptions, ForwardProxy, MountRefusal, Mounted, OpenBao, OpenBaoSetup, TestCa, TestPod,
    TokenIssuer, call_as_web,
};
use serde_json::json;

/// A name that no lookup finds: only a proxy leads there.
const VAULT: &str = "vault.invalid";

const USER: (&str, &str) = ("jo", "p@ss:word");
const WRITTEN_USER: &str = "jo:p%40ss%3Aword";

struct ProxySetup {
    ca: TestCa,
    bao: OpenBao,
    issuer: TokenIssuer,
}

impl ProxySetup {
    async fn new() -> Self {
        let ca = TestCa::new();
        let (bao, issuer) = (OpenBao::start_with_tls(&ca).await, TokenIssuer::new());
        OpenBaoSetup::prepare(&bao, &issuer).await;
        bao.kv_put("app", json!({ "k": "v" })).await;
        Self { ca, bao, issuer }
    }

    /// Starts a proxy that leads to the Vault, over TLS or not.
    async fn proxy(&self, scheme: &str, credentials: Option<(&str, &str)>) -> ForwardProxy {
        let plain = self.bao.address().trim_start_matches("http://").parse().unwrap();
        let tls = SocketAddr::from(([127, 0, 0, 1], self.bao.tls_port()));
        ForwardProxy::start(&[(VAULT, if scheme == "https" { tls } else { plain })], credentials).await
    }

    fn options(&self, scheme: &str) -> CsiOptions {
        Csi::options()
            .flag(format!("-vault-addr={scheme}://{VAULT}:8200"))
            .flag(format!("-vault-tls-ca-cert={}", self.ca.certificate_file().display()))
            .flag("-vault-tls-server-name=localhost")
    }

    async fn mount(&self, options: CsiOptions) -> (Result<Mounted, MountRefusal>, String) {
        let csi = options.start().await;
        let objects = "- {objectName: f, secretPath: secret/data/app, secretKey: k}";
        let call = call_as_web(&self.issuer, &TestPod::new("shop", "web"), objects);
        let mounted = csi.mount(&call).await;
        (mounted, csi.log())
    }
}

fn shows_no_credentials(text: &str) {
    for secret in [WRITTEN_USER, "p%40ss", "p@ss", "am86"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn vault_is_reached_through_each_kind_of_proxy() {
    let setup = ProxySetup::new().await;
    for (scheme, variable, kind, asked) in [
        ("https", "HTTPS_PROXY", "http", "CONNECT vault.invalid:8200"),
        ("https", "https_proxy", "socks5", "SOCKS vault.invalid:8200"),
        ("https", "VAULT_PROXY_ADDR", "socks5h", "SOCKS vault.invalid:8200"),
        ("http", "HTTP_PROXY", "http", "GET http://vault.invalid:8200/v1/secret/data/app"),
        ("http", "http_proxy", "socks5h", "SOCKS vault.invalid:8200"),
        ("http", "VAULT_HTTP_PROXY", "http", "POST http://vault.invalid:8200/v1/auth/kubernetes/login"),
    ] {
        let proxy = setup.proxy(scheme, Some(USER)).await;
        let url = format!("{kind}://{WRITTEN_USER}@{}", proxy.address());
        let (mounted, log) = setup.mount(setup.options(scheme).env(variable, url)).await;
        let mounted = mounted.unwrap_or_else(|error| panic!("{variable} {kind}: {error:?}"));
        assert_eq!(mounted.text("f"), "v", "{variable} {kind}");
        assert!(proxy.asked().iter().any(|line| line == asked), "{variable} {kind}: {:?}", proxy.asked());
        shows_no_credentials(&log);
    }
}

/// The host of a tunnel and the name in the certificate are two things, as with Go.
#[tokio::test]
async fn the_tls_server_name_is_not_what_the_proxy_is_asked_for() {
    let setup = ProxySetup::new().await;
    let proxy = setup.proxy("https", None).await;
    let (mounted, _) =
        setup.mount(setup.options("https").env("HTTPS_PROXY", proxy.address().to_string())).await;
    assert_eq!(mounted.unwrap().text("f"), "v");
    assert_eq!(proxy.asked(), ["CONNECT vault.invalid:8200"], "one connection for both requests");
}

#[tokio::test]
async fn hosts_of_no_proxy_are_reached_directly() {
    let setup = ProxySetup::new().await;
    let proxy = setup.proxy("https", None).await;
    let options = setup.options("https").env("HTTPS_PROXY", format!("http://{}", proxy.address()));
    for list in ["vault.invalid", "VAULT.invalid:8200", "*.invalid", "a, .invalid ,b", "invalid:8200", "*"] {
        let (mounted, _) = setup.mount(options.clone().env("NO_PROXY", list)).await;
        let refusal = mounted.unwrap_err();
        assert!(refusal.names(&["the lookup of vault.invalid failed"]), "{list}: {refusal:?}");
    }
    assert_eq!(proxy.asked(), Vec::<String>::new());
    for list in ["ault.invalid", "vault.invalid:443", "", "*.vault.invalid", "10.0.0.0/8"] {
        let (mounted, _) = setup.mount(options.clone().env("NO_PROXY", list)).await;
        assert!(mounted.is_ok(), "{list}: {mounted:?}");
    }
}

#[tokio::test]
async fn this_machine_is_never_reached_by_the_general_proxy() {
    let setup = ProxySetup::new().await;
    let proxy = setup.proxy("https", None).await;
    let url = format!("http://{}", proxy.address());
    let local = format!("-vault-addr=https://localhost:{}", setup.bao.tls_port());
    let options = setup.options("https").flag(local);
    let (mounted, _) = setup.mount(options.clone().env("HTTPS_PROXY", &url).env("ALL_PROXY", &url)).await;
    assert!(mounted.is_ok(), "{mounted:?}");
    assert_eq!(proxy.asked(), Vec::<String>::new());
    let (mounted, _) = setup.mount(options.env("VAULT_PROXY_ADDR", &url).env("NO_PROXY", "*")).await;
    assert!(mounted.is_ok(), "{mounted:?}");
    assert_eq!(proxy.asked().len(), 1, "Vault's own variable knows no exceptions: {:?}", proxy.asked());
}

#[tokio::test]
async fn what_a_proxy_refuses_is_told() {
    let setup = ProxySetup::new().await;
    for (scheme, variable, kind, user, message) in [
        (
            "https",
            "HTTPS_PROXY",
            "http",
            "",
            "(HTTPS_PROXY) refused the connection to vault.invalid:8200: 407 Proxy Authentication Required. Write \
             SCHEME://USER:PASSWORD@HOST:PORT",
        ),
        (
            "https",
            "VAULT_PROXY_ADDR",
            "http",
            "jo:p%40ss@",
            "(VAULT_PROXY_ADDR) refused the connection to vault.invalid:8200: 407 Proxy Authentication Required. Check \
             the user name and password",
        ),
        ("https", "HTTPS_PROXY", "socks5", "jo:p%40ss@", "(HTTPS_PROXY) refused the user name and password"),
        ("http", "http_proxy", "socks5", "", "(http_proxy) accepts no connection without a user name"),
        (
            "http",
            "HTTP_PROXY",
            "http",
            "jo:p%40ss@",
            "a proxy on the way to Vault at http://vault.invalid:8200 refuses: 407 Proxy Authentication Required",
        ),
    ] {
        let proxy = setup.proxy(scheme, Some(USER)).await;
        let url = format!("{kind}://{user}{}", proxy.address());
        let (mounted, log) = setup.mount(setup.options(scheme).env(variable, url)).await;
        let refusal = mounted.unwrap_err();
        assert!(refusal.names(&[message]), "{variable} {kind}: {refusal:?}");
        shows_no_credentials(&format!("{refusal:?} {log}"));
    }
}

#[tokio::test]
async fn a_proxy_that_is_no_url_is_told() {
    let setup = ProxySetup::new().await;
    let (mounted, _) =
        setup.mount(setup.options("https").env("HTTPS_PROXY", "http://jo:p%40ss@pro xy")).await;
    let refusal = mounted.unwrap_err();
    assert!(
        refusal.names(&["HTTPS_PROXY names no proxy: its host has a character that no host has"]),
        "{refusal:?}"
    );
    shows_no_credentials(&format!("{refusal:?}"));

    // Go ignores this one
    let local = format!("-vault-addr=https://localhost:{}", setup.bao.tls_port());
    let options = setup.options("https").flag(local).env("https_proxy", "http://jo:100%p%40ss@proxy");
    let (mounted, log) = setup.mount(options).await;
    assert!(mounted.is_ok(), "{mounted:?}");
    assert!(log.contains("https_proxy names no proxy: it has a % without two hexadecimal digits"), "{log}");
    shows_no_credentials(&log);

    let mut csi = setup.options("https").env("VAULT_PROXY_ADDR", "socks4://jo:p%40ss@proxy").spawn();
    assert!(!csi.wait().await.success());
    assert!(csi.log().contains("proxies of the kind \"socks4\" are not supported"), "{}", csi.log());
    shows_no_credentials(&csi.log());
}
