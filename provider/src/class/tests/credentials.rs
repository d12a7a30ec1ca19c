//! What classes may not do with the operator's client certificate and sockets.

use coffer_vault::{Address, ClientCertificate, TlsFile, TrustedAddresses};

use super::parameters;
use crate::Settings;
use crate::class::Class;

const OPERATORS: &str = "https://vault:8200";
const OTHER: &str = "https://other:8200";

fn address(text: &str) -> Address {
    Address::parse(text).expect(text)
}

/// Returns the settings of an operator with a client certificate.
fn settings() -> Settings {
    let file = |path: &str| TlsFile { path: path.into(), parameter: None };
    let mut settings = Settings { address: address(OPERATORS), ..Settings::default() };
    settings.tls.client = Some(ClientCertificate { certificate: file("/c"), key: file("/k") });
    settings
}

fn parse(pairs: &[(&str, &str)], settings: &Settings) -> Result<Class, String> {
    Class::parse(&parameters(pairs), settings).map_err(|error| error.to_string())
}

#[test]
fn only_the_operators_servers_get_the_operators_certificate() {
    let mut settings = settings();
    let has_certificate = |pairs: &[(&str, &str)], settings: &Settings| {
        parse(pairs, settings).expect("a class").target.tls.client.is_some()
    };
    let other = [("vaultAddress", OTHER)];
    assert!(has_certificate(&[], &settings));
    assert!(has_certificate(&[("baoAddress", "https://VAULT:8200/")], &settings));
    assert!(!has_certificate(&other, &settings));
    let own = [other[0], ("vaultTLSClientCertPath", "/mine"), ("vaultTLSClientKeyPath", "/mine.key")];
    assert!(has_certificate(&own, &settings));
    settings.trusted_addresses = TrustedAddresses::Listed(vec![address(OTHER)]);
    assert!(has_certificate(&other, &settings));
}

#[test]
fn with_a_client_certificate_a_class_names_listed_auth_mounts_only() {
    let mut settings = settings();
    let refused = |pairs: &[(&str, &str)], settings: &Settings| parse(pairs, settings).err();
    for mount in ["cert", "/cert/", "Kubernetes", "kubernetes/x"] {
        for name in ["vaultAuthMountPath", "baoKubernetesMountPath"] {
            let said = refused(&[(name, mount)], &settings).expect(mount);
            assert!(said.contains(name) && said.contains(mount.trim_matches('/')), "{said}");
            assert!(said.contains("-vault-auth-mounts"), "{said}");
        }
    }
    let own = [("vaultTLSClientCertPath", "/mine"), ("vaultTLSClientKeyPath", "/mine.key")];
    let named = [own[0], own[1], ("vaultAddress", OTHER), ("vaultAuthMountPath", "cert")];
    assert!(refused(&named, &settings).is_some(), "a certificate that the class names is one of the agent's");
    for pairs in [
        &[("vaultAuthMountPath", "/kubernetes/")][..],
        &[("vaultAuthMountPath", "cert"), ("vaultAddress", OTHER)],
        &[("vaultAuthMountPath", "cert"), ("vaultAddress", "http://vault:8200")],
    ] {
        assert_eq!(refused(pairs, &settings), None, "{pairs:?}");
    }
    settings.auth_mounts.push("cert".to_owned());
    assert_eq!(refused(&[("vaultAuthMountPath", "cert")], &settings), None);
}

#[test]
fn with_a_client_certificate_no_object_is_a_login() {
    let objects = |path: &str, method: &str| {
        format!("[{{objectName: f, secretPath: {path}, method: {method}, secretKey: k}}]")
    };
    let parsed =
        |path, method, settings: &Settings| parse(&[("objects", &objects(path, method))], settings).err();
    for path in ["auth/cert/login", "team/auth/a/b/login", "/v1/auth/cert//login/"] {
        for method in ["POST", "put"] {
            let said = parsed(path, method, &settings()).expect(path);
            assert!(said.contains("a login") && said.contains("\"f\""), "{said}");
            assert_eq!(parsed(path, method, &Settings::default()), None);
        }
    }
    for (path, method) in
        [("secret/data/auth/x/login", "GET"), ("auth/token/create", "POST"), ("pki/login", "POST")]
    {
        assert_eq!(parsed(path, method, &settings()), None, "{path}");
    }
}

#[test]
fn a_socket_of_the_node_is_the_operators_choice() {
    let mut settings = Settings::default();
    let socket = [("vaultAddress", "unix:///run/agent.sock")];
    let said = parse(&socket, &settings).expect_err("refused");
    for part in ["vaultAddress", "unix:///run/agent.sock", "-vault-trusted-addresses"] {
        assert!(said.contains(part), "{said}");
    }
    settings.trusted_addresses = TrustedAddresses::Listed(vec![address("unix:///run/agent.sock")]);
    assert!(parse(&socket, &settings).is_ok());
    assert!(parse(&[("vaultAddress", "unix:///run/other.sock")], &settings).is_err());
    let settings = Settings { address: address("unix:///run/agent.sock"), ..Settings::default() };
    assert!(parse(&socket, &settings).is_ok() && parse(&[], &settings).is_ok());
}

#[test]
fn a_vault_namespace_leads_where_it_seems() {
    for namespace in ["team-a/../team-b", "..", "./team", "team/ .. /x", "team/."] {
        let said = parse(&[("vaultNamespace", namespace)], &Settings::default()).expect_err(namespace);
        assert!(said.contains("vaultNamespace") && said.contains("segments"), "{said}");
    }
    assert!(parse(&[("vaultNamespace", "team/..x/")], &Settings::default()).is_ok());
}
