//! The command line, as the incumbent takes it: Go's style, with one dash or two.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::ArgPredicate;
use clap::error::ErrorKind;
use coffer_process::{BadFlag, LogFormat, VaultFlags, parse_address};
use coffer_provider::go_duration;
use coffer_provider::settings::go_bool;
use tracing_subscriber::filter::LevelFilter;

use super::ConfigError;

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

    /// How old an answer may be that is not read again, unless the class says: 30s, 5m, 0 for none
    #[arg(long, default_value = "0", value_name = "DURATION", value_parser = duration)]
    pub(super) default_refresh_interval: Duration,

    /// Directory on tmpfs, such as /run/coffer, where leases and tokens outlive a restart; wants NODE_NAME
    #[arg(long, value_name = "PATH", value_parser = path_or_none)]
    state_dir: Option<PathBuf>,

    /// Revoke all tokens and leases at the end, for uninstalling
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true",
          value_parser = go_bool, value_name = "BOOL")]
    pub(super) revoke_on_shutdown: bool,

    #[command(flatten)]
    pub(super) vault: VaultFlags,

    /// Accept any certificate of Vault
    #[arg(long, alias = "openbao-tls-skip-verify", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = go_bool, value_name = "BOOL")]
    pub(super) vault_tls_skip_verify: Option<bool>,
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

    /// The state directory; an empty one is none.
    pub(super) fn state_dir(&self) -> Option<&PathBuf> {
        self.state_dir.as_ref().filter(|path| !path.as_os_str().is_empty())
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

/// `:8080` is every interface, as in Go; an empty address is none.
pub(super) fn health_address(text: &str) -> Result<Option<SocketAddr>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = || BadFlag::new("health-addr", format!("{text:?} is no [HOST]:PORT"));
    parse_address(text).map(Some).ok_or_else(|| bad().into())
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    go_duration::parse(text).ok_or("write 30s, 5m, 1h30m, or 0 for none")
}

/// Go takes an empty one for none, clap by itself for a mistake.
fn path_or_none(text: &str) -> Result<PathBuf, Infallible> {
    Ok(PathBuf::from(text))
}

/// Go takes long flags with one dash, clap with two.
fn two_dashes(arg: String) -> String {
    let is_long = arg.len() > 2 && arg.starts_with('-') && arg.as_bytes()[1].is_ascii_alphabetic();
    if is_long { format!("-{arg}") } else { arg }
}
