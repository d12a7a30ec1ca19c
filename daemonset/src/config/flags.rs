//! The command line, as the incumbent takes it: Go's style, with one dash or two.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::Parser;
use clap::builder::ArgPredicate;
use clap::error::ErrorKind;
use coffer_provider::settings::{self, go_bool};
use coffer_provider::{Address, Authorities, ClientCertificate, Settings, TlsFile};
use tracing_subscriber::filter::LevelFilter;

use super::{ConfigError, LogFormat};

/// Serves the Secrets Store CSI driver: mounts secrets of HashiCorp Vault and OpenBao as files.
#[derive(Debug, Parser)]
#[command(name = "coffer-csi", disable_version_flag = true, args_override_self = true)]
pub(super) struct Flags {
    /// Socket to listen on for the driver; openbao.sock selects OpenBao's defaults
    #[arg(long, default_value = "/tmp/vault.sock", value_name = "PATH")]
    pub(super) endpoint: String,

    /// Address of health and metrics, empty for none
    #[arg(long, default_value = ":8080", value_name = "[HOST]:PORT")]
    pub(super) health_addr: String,

    /// Log level: off, error, warn, info, debug or trace
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    log_level: String,

    /// The same as -log-level=debug
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true",
          value_parser = go_bool, value_name = "BOOL")]
    debug: bool,

    /// Log format: text or json
    #[arg(long, default_value = "text", value_name = "FORMAT", value_parser = log_format)]
    pub(super) log_format: LogFormat,

    /// Print the version
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true",
          default_value_if("help", ArgPredicate::IsPresent, "false"), value_parser = go_bool, value_name = "BOOL")]
    pub(super) version: bool,

    /// Format of -version: text or json
    #[arg(long, value_name = "FORMAT")]
    pub(super) output: Option<String>,

    /// Secret with the key of the versions [default: vault-csi-provider-hmac-key]
    #[arg(long, value_name = "NAME")]
    pub(super) hmac_secret_name: Option<String>,

    /// File with the key of the versions, in place of the Secret
    #[arg(long, value_name = "PATH")]
    pub(super) hmac_key_file: Option<PathBuf>,

    /// Identities whose Vault token is kept
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub(super) cache_size: usize,

    /// Largest answer to the driver, which takes no more than 4 MiB by default
    #[arg(long, default_value_t = 4 << 20, value_name = "BYTES")]
    pub(super) max_response_bytes: usize,

    #[command(flatten)]
    pub(super) vault: VaultFlags,
}

/// What holds for classes that say nothing else. OpenBao's names are the same flags.
#[derive(Debug, clap::Args)]
pub(super) struct VaultFlags {
    /// Vault's address [default: VAULT_ADDR, else https://127.0.0.1:8200]
    #[arg(long, alias = "openbao-addr", value_name = "URL")]
    vault_addr: Option<String>,

    /// Path of the auth method
    #[arg(long, alias = "openbao-mount", default_value = "kubernetes", value_name = "PATH")]
    vault_mount: String,

    /// Vault namespace
    #[arg(long, alias = "openbao-namespace", value_name = "NAMESPACE")]
    vault_namespace: Option<String>,

    /// PEM file of the certificate authorities to trust
    #[arg(long, alias = "openbao-tls-ca-cert", value_name = "PATH")]
    vault_tls_ca_cert: Option<PathBuf>,

    /// Directory of such files
    #[arg(long, alias = "openbao-tls-ca-directory", value_name = "PATH")]
    vault_tls_ca_directory: Option<PathBuf>,

    /// Name to verify Vault's certificate for
    #[arg(long, alias = "openbao-tls-server-name", value_name = "NAME")]
    vault_tls_server_name: Option<String>,

    /// PEM file of the client certificate
    #[arg(long, alias = "openbao-tls-client-cert", value_name = "PATH")]
    vault_tls_client_cert: Option<PathBuf>,

    /// PEM file of its key
    #[arg(long, alias = "openbao-tls-client-key", value_name = "PATH")]
    vault_tls_client_key: Option<PathBuf>,

    /// Accept any certificate of Vault
    #[arg(long, alias = "openbao-tls-skip-verify", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = go_bool, value_name = "BOOL")]
    vault_tls_skip_verify: Option<bool>,
}

/// A command line that was understood.
pub(super) enum Parsed {
    Flags(Box<Flags>),
    /// The text that was asked for.
    Help(String),
}

impl Flags {
    pub(super) fn parse(args: impl IntoIterator<Item = String>) -> Result<Parsed, ConfigError> {
        match Self::try_parse_from(args.into_iter().map(two_dashes)) {
            Ok(flags) => Ok(Parsed::Flags(Box::new(flags))),
            Err(help) if help.kind() == ErrorKind::DisplayHelp => Ok(Parsed::Help(help.to_string())),
            Err(mistake) => {
                let text = mistake.to_string();
                Err(ConfigError::Flags(text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()))
            }
        }
    }

    /// The log level; one that is none is `info`, as with the incumbent, and warned about.
    pub(super) fn level(&self, warnings: &mut Vec<String>) -> LevelFilter {
        let level = self.log_level.parse().unwrap_or_else(|_| {
            warnings.push(format!("-log-level={:?} is no level: it is taken as info", self.log_level));
            LevelFilter::INFO
        });
        if self.debug { level.max(LevelFilter::DEBUG) } else { level }
    }
}

impl VaultFlags {
    /// Puts what was given over what the environment says; an empty value counts as not given.
    pub(super) fn overlay(self, settings: &mut Settings) -> Result<(), ConfigError> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let file = |path: Option<PathBuf>| {
            path.filter(|path| !path.as_os_str().is_empty()).map(|path| TlsFile { path, parameter: None })
        };
        let Self {
            vault_addr,
            vault_mount,
            vault_namespace,
            vault_tls_server_name,
            vault_tls_skip_verify,
            ..
        } = self;
        if let Some(address) = given(vault_addr) {
            settings.address = Address::parse(&address).map_err(|bad| flag("vault-addr", bad.to_string()))?;
        }
        if let Some(mount) = given(Some(vault_mount)) {
            settings.auth_mount =
                settings::auth_mount(&mount).map_err(|reason| flag("vault-mount", reason))?;
        }
        if let Some(namespace) = given(vault_namespace) {
            let namespace =
                settings::namespace(&namespace).map_err(|reason| flag("vault-namespace", reason))?;
            settings.namespace = Some(namespace);
        }
        let tls = &mut settings.tls;
        if let Some(authorities) = file(self.vault_tls_ca_cert) {
            tls.authorities = Authorities::File(authorities);
        } else if let Some(directory) = file(self.vault_tls_ca_directory) {
            tls.authorities = Authorities::Directory(directory);
        }
        tls.server_name = given(vault_tls_server_name).or(tls.server_name.take());
        match (file(self.vault_tls_client_cert), file(self.vault_tls_client_key)) {
            (Some(certificate), Some(key)) => tls.client = Some(ClientCertificate { certificate, key }),
            (None, None) => {}
            (Some(_), None) => {
                return Err(flag("vault-tls-client-key", "missing beside the certificate".to_owned()));
            }
            (None, Some(_)) => {
                return Err(flag("vault-tls-client-cert", "missing beside the key".to_owned()));
            }
        }
        tls.skip_verify = vault_tls_skip_verify.unwrap_or(tls.skip_verify);
        Ok(())
    }
}

/// `:8080` is every interface, as in Go; an empty address is none.
pub(super) fn health_address(text: &str) -> Result<Option<SocketAddr>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    let everywhere =
        || text.strip_prefix(':')?.parse().ok().map(|port| (IpAddr::V6(Ipv6Addr::UNSPECIFIED), port).into());
    let address: Option<SocketAddr> =
        text.replacen("localhost:", "127.0.0.1:", 1).parse().ok().or_else(everywhere);
    address.map(Some).ok_or_else(|| flag("health-addr", format!("{text:?} is no [HOST]:PORT")))
}

fn flag(flag: &'static str, reason: String) -> ConfigError {
    ConfigError::Flag { flag, reason }
}

/// Go takes long flags with one dash, clap with two.
fn two_dashes(arg: String) -> String {
    let is_long = arg.len() > 2 && arg.starts_with('-') && arg.as_bytes()[1].is_ascii_alphabetic();
    if is_long { format!("-{arg}") } else { arg }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("neither text nor json".to_owned()),
    }
}
