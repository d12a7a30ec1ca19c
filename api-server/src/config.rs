//! The one place that reads configuration: command line over environment over defaults.

mod flags;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use coffer_provider::settings::BadVariable;
use coffer_provider::{Address, Settings};

/// What the process is asked to do.
pub(crate) enum Command {
    /// Print this and end.
    Print(String),
    /// Serve the API.
    Serve(Box<Config>),
}

/// Everything that is configured, as plain values.
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) certificate: CertificateSource,
    pub(crate) key: KeyPlace,
    pub(crate) vault: Vault,
    /// The time for one request.
    pub(crate) request_timeout: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) max_in_flight_per_user: usize,
    /// How long it serves on after SIGTERM, until kube-apiserver has gone elsewhere.
    pub(crate) shutdown_delay: Duration,
    pub(crate) log_level: tracing_subscriber::filter::LevelFilter,
    pub(crate) log_format: LogFormat,
    /// What the operator should know, to be logged at start.
    pub(crate) warnings: Vec<String>,
}

/// What is configured of Vault.
pub(crate) struct Vault {
    pub(crate) settings: Settings,
    /// The addresses that may be contacted, whatever a class says.
    pub(crate) allowed: Vec<Address>,
    /// The providers whose classes are served.
    pub(crate) providers: Vec<String>,
    /// The audience of tokens where a class names none.
    pub(crate) default_audience: String,
}

/// Where the serving certificate comes from.
pub(crate) enum CertificateSource {
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
    /// It is made here, and kept in this Secret.
    Managed {
        secret: String,
        /// The Service that kube-apiserver reaches this server through.
        service: String,
    },
}

/// Where the key of the versions lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyPlace {
    /// A Secret of this name in our own namespace, made where it is missing.
    Secret(String),
    /// A file, the same as the node agents'.
    File(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// A configuration that cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{0}")]
    Flags(String),
    #[error("flag --{flag}: {reason}")]
    Flag { flag: &'static str, reason: String },
    #[error(transparent)]
    Environment(#[from] BadVariable),
}

/// Reads the command line and the environment.
///
/// # Errors
/// What is wrong, naming the flag or variable.
pub(crate) fn parse(
    args: impl IntoIterator<Item = String>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Command, ConfigError> {
    let flags = match flags::Flags::parse(args)? {
        flags::Parsed::Flags(flags) => *flags,
        flags::Parsed::Print(text) => return Ok(Command::Print(text)),
    };
    let mut settings = Settings::from_environment(lookup)?;
    flags.vault.overlay(&mut settings)?;
    settings.cache_size = flags.cache_size;
    let config = Config {
        listen: flags::listen(&flags.listen)?,
        certificate: flags.certificate()?,
        key: flags.key(),
        vault: Vault {
            allowed: flags.allowed(&settings)?,
            providers: flags.providers,
            default_audience: flags.default_audience,
            settings,
        },
        request_timeout: flags.request_timeout,
        max_in_flight: flags.max_in_flight,
        max_in_flight_per_user: flags.max_in_flight_per_user,
        shutdown_delay: flags.shutdown_delay,
        log_level: flags.log_level,
        log_format: flags.log_format,
        warnings: warnings(lookup),
    };
    Ok(Command::Serve(Box::new(config)))
}

fn warnings(lookup: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let set = |name: &&str| lookup(name).is_some_and(|token| !token.is_empty());
    let ignored = |name| format!("{name} is ignored: every read logs in with its own service account");
    ["VAULT_TOKEN", "BAO_TOKEN"].into_iter().filter(set).map(ignored).collect()
}

#[cfg(test)]
mod tests;
