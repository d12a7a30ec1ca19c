//! The flags of the node agent, written as for HashiCorp's provider: in Go's style, with one dash
//! or two.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::ArgPredicate;
use coffer_kubernetes::KeySource;
use coffer_process::{FlagError, LogFormat, VaultFlags, parse_address};
use coffer_provider::settings::{TrustedAddresses, go_bool};
use coffer_provider::{Address, DEFAULT_SERIES, go_duration};
use tracing_subscriber::filter::LevelFilter;

/// Serves the Secrets Store CSI driver: mounts secrets of HashiCorp Vault and OpenBao as files.
#[derive(Debug, Parser)]
#[command(name = "coffer-csi", disable_version_flag = true, args_override_self = true)]
pub(super) struct AgentFlags {
    /// Socket to listen on for the driver; openbao.sock selects OpenBao's defaults
    #[arg(long, default_value = "/tmp/vault.sock", value_name = "PATH")]
    pub(super) endpoint: String,

    /// Address of health and metrics, empty for none
    #[arg(long, default_value = ":8080", value_name = "[HOST]:PORT")]
    health_addr: String,

    /// Series of one metric with labels of namespace and class, at most; more count under _other
    #[arg(long, default_value_t = DEFAULT_SERIES, value_name = "N")]
    pub(super) metrics_series: usize,

    /// Log level: off, error, warn, info, debug or trace
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    log_level: String,

    /// The same as -log-level=debug
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true",
          value_parser = go_bool, value_name = "BOOL")]
    debug: bool,

    /// Log format: text or json
    #[arg(long, default_value = "text", value_name = "FORMAT")]
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
    hmac_secret_name: Option<String>,

    /// File with the key of the versions, in place of the Secret
    #[arg(long, value_name = "PATH")]
    hmac_key_file: Option<PathBuf>,

    /// Identities whose Vault token is cached, at most
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub(super) cache_size: usize,

    /// Memory limit of the process, in bytes; half of it is for what mounts cause [default: that of
    /// the container, else 64 MiB]
    #[arg(long, value_name = "BYTES")]
    pub(super) memory_limit: Option<usize>,

    /// Largest answer to the driver, in bytes; the driver accepts 4 MiB by default
    #[arg(long, default_value_t = 4 << 20, value_name = "BYTES")]
    pub(super) max_response_bytes: usize,

    /// Time for which an answer of Vault is reused, unless the class sets refreshInterval: 30s, 5m,
    /// 0 for none
    #[arg(long, default_value = "0", value_name = "DURATION", value_parser = parse_duration)]
    pub(super) default_refresh_interval: Duration,

    /// Directory on tmpfs, such as /run/coffer, where leases and tokens outlive a restart; needs
    /// NODE_NAME
    #[arg(long, value_name = "PATH", value_parser = path_or_empty)]
    state_dir: Option<PathBuf>,

    /// Revoke all tokens and leases at shutdown, for uninstalling
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true",
          value_parser = go_bool, value_name = "BOOL")]
    pub(super) revoke_on_shutdown: bool,

    /// Write events on pods whose rotation fails or whose credentials change; needs the right to
    /// "create" and "patch" events of events.k8s.io
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true",
          value_parser = go_bool, value_name = "BOOL")]
    pub(super) pod_events: bool,

    #[command(flatten)]
    pub(super) vault: VaultFlags,

    /// Further addresses that are trusted as the operator's own, * for every address a class names
    #[arg(long, alias = "openbao-trusted-addresses", value_delimiter = ',', value_name = "URL,…")]
    vault_trusted_addresses: Vec<String>,

    /// Accept any certificate of Vault
    #[arg(long, alias = "openbao-tls-skip-verify", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = go_bool, value_name = "BOOL")]
    pub(super) vault_tls_skip_verify: Option<bool>,
}

impl AgentFlags {
    /// Returns the state directory; `None` where it is empty.
    pub(super) fn state_dir(&self) -> Option<&PathBuf> {
        self.state_dir.as_ref().filter(|path| !path.as_os_str().is_empty())
    }

    /// Returns the log level. An unknown level counts as `info`, as with HashiCorp's provider, and
    /// adds a warning.
    pub(super) fn level(&self, warnings: &mut Vec<String>) -> LevelFilter {
        let level = self.log_level.parse().unwrap_or_else(|_| {
            warnings.push(format!("-log-level={:?} is not a log level: info is used", self.log_level));
            LevelFilter::INFO
        });
        if self.debug { level.max(LevelFilter::DEBUG) } else { level }
    }

    /// Returns the address of health and metrics; `None` where it is empty.
    ///
    /// # Errors
    /// The address has another form than `[HOST]:PORT`.
    pub(super) fn health_address(&self) -> Result<Option<SocketAddr>, FlagError> {
        if self.health_addr.is_empty() {
            return Ok(None);
        }
        let address = parse_address(&self.health_addr);
        address.map(Some).map_err(|error| FlagError::new("health-addr", error))
    }

    /// Returns the addresses that are trusted as the operator's own.
    ///
    /// # Errors
    /// An address is none.
    pub(super) fn trusted_addresses(&self) -> Result<TrustedAddresses, FlagError> {
        let listed = self.vault_trusted_addresses.iter().map(|text| text.trim());
        let listed: Vec<&str> = listed.filter(|text| !text.is_empty()).collect();
        if listed.contains(&"*") {
            return Ok(TrustedAddresses::All);
        }
        let parsed = listed.into_iter().map(Address::parse).collect::<Result<_, _>>();
        parsed.map(TrustedAddresses::Listed).map_err(|error| FlagError::new("vault-trusted-addresses", error))
    }

    /// Returns where the key of the versions is stored; the default Secret depends on the provider.
    pub(super) fn key(&self, is_openbao: bool) -> KeySource {
        let default =
            if is_openbao { "openbao-csi-provider-hmac-key" } else { "vault-csi-provider-hmac-key" };
        match (&self.hmac_key_file, &self.hmac_secret_name) {
            (Some(path), _) => KeySource::File(path.clone()),
            (None, Some(name)) => KeySource::Secret(name.clone()),
            (None, None) => KeySource::Secret(default.to_owned()),
        }
    }
}

/// Adds a dash to a long flag with one: Go takes long flags with one dash, clap with two.
pub(super) fn with_two_dashes(arg: String) -> String {
    let is_long = arg.len() > 2 && arg.starts_with('-') && arg.as_bytes()[1].is_ascii_alphabetic();
    if is_long { format!("-{arg}") } else { arg }
}

/// A value that is not a duration.
#[derive(Debug, thiserror::Error)]
#[error("write 30s, 5m, 1h30m, or 0 for none")]
struct RefreshIntervalError;

fn parse_duration(text: &str) -> Result<Duration, RefreshIntervalError> {
    go_duration::parse(text).ok_or(RefreshIntervalError)
}

/// Accepts an empty path, as Go does; clap's own parser refuses it.
fn path_or_empty(text: &str) -> Result<PathBuf, Infallible> {
    Ok(PathBuf::from(text))
}
