use coffer_kubernetes::KeySource;
use coffer_process::{Invocation, LogFormat, Logging, Startup};
use coffer_provider::settings::TrustedAddresses;
use coffer_provider::{Address, Authorities};
use tracing_subscriber::filter::LevelFilter;

use super::{AgentConfig, parse};

fn read(args: &[&str], env: &[(&str, &str)]) -> Result<Invocation<AgentConfig>, String> {
    let args = ["coffer-csi"].iter().chain(args).map(|arg| (*arg).to_owned());
    let lookup = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
    parse(args, &lookup).map_err(|error| error.to_string())
}

fn startup(args: &[&str], env: &[(&str, &str)]) -> Startup<AgentConfig> {
    match read(args, env).expect("a configuration") {
        Invocation::Serve(startup) => *startup,
        Invocation::Print(text) => panic!("printed {text}"),
    }
}

fn config(args: &[&str], env: &[(&str, &str)]) -> AgentConfig {
    startup(args, env).config
}

fn logging(args: &[&str]) -> Logging {
    startup(args, &[]).logging
}

#[test]
fn the_defaults_are_the_incumbents() {
    let config = config(&[], &[]);
    assert_eq!(config.endpoint.to_str(), Some("/tmp/vault.sock"));
    assert_eq!(config.health_address.expect("an address").to_string(), "[::]:8080");
    let defaults = Logging { level: LevelFilter::INFO, format: LogFormat::Text, always: None };
    assert_eq!(logging(&[]), defaults);
    assert_eq!(config.key, KeySource::Secret("vault-csi-provider-hmac-key".to_owned()));
    assert_eq!(config.settings.cache_size, 1000);
    assert_eq!(config.max_response_bytes, 4 << 20);
    assert_eq!(config.settings.address.to_string(), "https://127.0.0.1:8200");
    assert_eq!(
        (config.settings.auth_mount.as_str(), config.settings.audience.as_str()),
        ("kubernetes", "vault")
    );
}

#[test]
fn flags_come_with_one_dash_or_two_and_as_go_takes_booleans() {
    let config = config(
        &[
            "-endpoint=/run/x/vault.sock",
            "--vault-addr",
            "http://v:1",
            "-vault-mount=k8s",
            "-vault-tls-skip-verify=t",
            "--cache-size=5",
            "-cache-size",
            "7",
        ],
        &[],
    );
    assert_eq!(config.endpoint.to_str(), Some("/run/x/vault.sock"));
    assert_eq!(config.settings.address.to_string(), "http://v:1");
    assert_eq!(config.settings.auth_mount, "k8s");
    assert_eq!(logging(&["-debug", "-log-format=json"]).level, LevelFilter::DEBUG);
    assert!(config.settings.tls.skip_verify);
    assert_eq!(config.settings.cache_size, 7, "the last one counts");
    assert!(config.settings.protected_directories.contains(&"/run/x".into()));
}

#[test]
fn flags_beat_the_environment() {
    let env = [
        ("VAULT_ADDR", "http://env:1"),
        ("VAULT_SKIP_VERIFY", "true"),
        ("VAULT_CAPATH", "/ca"),
        ("VAULT_NAMESPACE", "e"),
    ];
    let from_env = config(&["-vault-addr="], &env);
    assert_eq!(from_env.settings.address.to_string(), "http://env:1");
    assert!(from_env.settings.tls.skip_verify);
    let flags = [
        "-vault-addr=http://flag:1",
        "-vault-tls-skip-verify=false",
        "-vault-tls-ca-cert=/f",
        "-vault-namespace=f",
    ];
    let from_flags = config(&flags, &env);
    assert_eq!(from_flags.settings.address.to_string(), "http://flag:1");
    assert!(!from_flags.settings.tls.skip_verify);
    assert!(matches!(from_flags.settings.tls.authorities, Authorities::File(_)));
    assert_eq!(from_flags.settings.namespace.as_deref(), Some("f"));
}

#[test]
fn openbaos_socket_selects_its_defaults_and_its_flags_are_taken() {
    let config =
        config(&["-endpoint=/tmp/openbao.sock", "-openbao-addr=http://b:1", "-openbao-mount=m"], &[]);
    assert_eq!(config.settings.audience, "openbao");
    assert_eq!(config.key, KeySource::Secret("openbao-csi-provider-hmac-key".to_owned()));
    assert_eq!(config.settings.address.to_string(), "http://b:1");
    assert_eq!(config.settings.auth_mount, "m");
}

#[test]
fn trusted_addresses_and_auth_mounts_are_lists() {
    let trusted = |args: &[&str]| config(args, &[]).settings.trusted_addresses;
    let listed = |texts: &[&str]| {
        TrustedAddresses::Listed(texts.iter().map(|text| Address::parse(text).expect(text)).collect())
    };
    assert_eq!(trusted(&[]), listed(&[]));
    let given = trusted(&["-vault-trusted-addresses=https://a:8200/, unix:///run/a.sock,"]);
    assert_eq!(given, listed(&["https://a:8200", "unix:///run/a.sock"]));
    assert_eq!(trusted(&["-openbao-trusted-addresses", "https://a,*"]), TrustedAddresses::All);
    let mounts = |args: &[&str]| config(args, &[]).settings.auth_mounts;
    assert_eq!(mounts(&["-vault-auth-mounts=cert, /team/jwt/"]), ["cert", "team/jwt"]);
    assert_eq!(mounts(&["-openbao-auth-mounts="]), [""; 0]);
}

#[test]
fn mistakes_name_the_flag_or_the_variable() {
    for (args, env, words) in [
        (&["-cache-size=many"][..], &[][..], "--cache-size"),
        (&["-vault-addres=x"], &[], "--vault-addres"),
        (&["-vault-addr=vault:8200"], &[], "-vault-addr: \"vault:8200\" is no Vault address"),
        (&["-health-addr=8080"], &[], "-health-addr: \"8080\" is not"),
        (&["-vault-mount=a/../b"], &[], "-vault-mount: has an empty"),
        (&["-vault-auth-mounts=a,../b"], &[], "-vault-auth-mounts: has an empty"),
        (&["-vault-trusted-addresses=vault"], &[], "-vault-trusted-addresses: \"vault\" is no Vault address"),
        (
            &["-policy-file=/nowhere/policy.yaml"],
            &[],
            "-policy-file: the policy /nowhere/policy.yaml cannot be read",
        ),
        (&["-vault-tls-client-cert=/c"], &[], "-vault-tls-client-key: missing"),
        (&["-debug=maybe"], &[], "--debug"),
        (&["stray"], &[], "stray"),
        (&[], &[("VAULT_MAX_RETRIES", "x")], "VAULT_MAX_RETRIES"),
    ] {
        let said = read(args, env).expect_err("a mistake");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn version_and_help_are_printed() {
    for (args, words) in [
        (&["-version"][..], "coffer-csi 0."),
        (&["-version", "-output=json"], "{\"name\":\"coffer-csi\""),
        (&["-help"], "--vault-addr"),
    ] {
        match read(args, &[]) {
            Ok(Invocation::Print(text)) => assert!(text.contains(words), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_log_level_that_is_none_is_info_and_an_empty_mount_the_default() {
    let Startup { logging, warnings, config } = startup(&["-log-level=warning", "-vault-mount="], &[]);
    assert_eq!(logging.level, LevelFilter::INFO);
    assert!(warnings.iter().any(|warning| warning.contains("\"warning\" is not a log level")));
    assert_eq!(config.settings.auth_mount, "kubernetes");
}

#[test]
fn a_path_without_a_directory_closes_none_to_classes() {
    let config = config(&["-endpoint=vault.sock", "-state-dir="], &[]);
    assert!(!config.settings.protected_directories.iter().any(|directory| directory.as_os_str().is_empty()));
}

#[test]
fn a_token_in_the_environment_is_ignored_aloud() {
    let startup = startup(&[], &[("VAULT_TOKEN", "hvs.secret")]);
    assert!(startup.warnings.iter().any(|warning| warning.contains("VAULT_TOKEN is ignored")));
    assert!(!format!("{startup:?}").contains("hvs.secret"));
}
