use coffer_kubernetes::KeySource;
use coffer_process::{Invocation, Startup};

use super::{ApiServerConfig, CertificateSource, parse};

fn startup(args: &[&str], variables: &[(&str, &str)]) -> Result<Startup<ApiServerConfig>, String> {
    let lookup =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let args = ["coffer-api-server"].iter().chain(args).map(|arg| (*arg).to_owned());
    match parse(args, &lookup) {
        Ok(Invocation::Serve(startup)) => Ok(*startup),
        Ok(Invocation::Print(text)) => Err(text),
        Err(mistake) => Err(mistake.to_string()),
    }
}

fn config(args: &[&str], variables: &[(&str, &str)]) -> Result<ApiServerConfig, String> {
    startup(args, variables).map(|startup| startup.config)
}

#[test]
fn only_the_configured_address_may_be_contacted_unless_others_are_listed() {
    let by_environment = config(&[], &[("VAULT_ADDR", "https://vault:8200/")]).expect("a configuration");
    assert_eq!(by_environment.vault.allowed, std::slice::from_ref(&by_environment.vault.settings.address));
    let listed = ["--allowed-vault-addresses", "https://a:8200/, https://b:8200"];
    let listed = config(&listed, &[]).expect("a configuration").vault.allowed;
    let listed: Vec<String> = listed.iter().map(ToString::to_string).collect();
    assert_eq!(listed, ["https://a:8200", "https://b:8200"]);
}

#[test]
fn a_certificate_comes_from_files_or_from_itself() {
    let own = config(&[], &[]).expect("a configuration");
    assert!(matches!(own.certificate, CertificateSource::Managed { .. }));
    assert_eq!(own.key, KeySource::Secret("vault-csi-provider-hmac-key".to_owned()));
    assert_eq!((own.vault.default_audience.as_str(), own.vault.providers.len()), ("vault", 2));
    let files = config(&["--tls-cert-file=/c", "--tls-private-key-file=/k"], &[]).expect("a configuration");
    assert!(matches!(files.certificate, CertificateSource::Files { .. }));
    assert!(config(&["--tls-cert-file=/c"], &[]).is_err());
}

#[test]
fn mistakes_name_their_flag() {
    for (args, word) in [
        (["--vault-addr", "vault"], "vault-addr"),
        (["--allowed-vault-addresses", "https://a,vault"], "allowed-vault-addresses"),
        (["--listen", "8443"], "listen"),
        (["--request-timeout", "soon"], "request-timeout"),
        (["--serving-secret", "A/B"], "serving-secret"),
        (["--default-audience", ""], "default-audience"),
    ] {
        let error = config(&args, &[]).err().expect(word);
        assert!(error.contains(word), "{error}");
    }
    assert!(config(&["--version"], &[]).err().expect("a version").starts_with("coffer-api-server 0."));
}

#[test]
fn vaults_certificate_is_always_verified() {
    for name in ["VAULT_SKIP_VERIFY", "BAO_SKIP_VERIFY"] {
        let refused = config(&[], &[(name, "true")]).err().expect(name);
        assert!(refused.contains(name) && refused.contains("--vault-tls-ca-cert"), "{refused}");
        assert!(config(&[], &[(name, "false")]).is_ok());
    }
    let refused = config(&["--vault-tls-skip-verify"], &[]).err().expect("no such flag");
    assert!(refused.contains("--vault-tls-skip-verify"), "{refused}");
}

#[test]
fn a_token_in_the_environment_is_ignored_and_said_to_be() {
    let warnings = startup(&[], &[("VAULT_TOKEN", "hunter2")]).expect("a configuration").warnings;
    assert!(warnings.len() == 1 && !warnings[0].contains("hunter2"), "{warnings:?}");
}
