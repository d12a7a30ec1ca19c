//! The one place that reads configuration: command line over environment over defaults.

mod flags;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use coffer_kubernetes::KeyPlace;
use coffer_process::{BadFlag, Command, Logging};
use coffer_provider::settings::BadVariable;
use coffer_provider::{Address, Settings};

use crate::audit;

/// Everything that is configured, as plain values.
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) certificate: CertificateSource,
    /// Where the key of the versions lies.
    pub(crate) key: KeyPlace,
    pub(crate) vault: Vault,
    /// The time for one request.
    pub(crate) request_timeout: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) max_in_flight_per_user: usize,
    /// How long it serves on after SIGTERM, until kube-apiserver has gone elsewhere.
    pub(crate) shutdown_delay: Duration,
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

/// A configuration that cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{0}")]
    Flags(String),
    #[error("flag --{}: {}", .0.flag, .0.reason)]
    Flag(BadFlag),
    #[error(transparent)]
    Environment(#[from] BadVariable),
    #[error(
        "environment variable VAULT_SKIP_VERIFY (or BAO_SKIP_VERIFY): this server always verifies Vault's \
         certificate; unset it, and name the authority to trust by --vault-tls-ca-cert or VAULT_CACERT"
    )]
    SkipVerify,
}

impl From<BadFlag> for ConfigError {
    fn from(bad: BadFlag) -> Self {
        Self::Flag(bad)
    }
}

/// Reads the command line and the environment.
///
/// # Errors
/// What is wrong, naming the flag or variable.
pub(crate) fn parse(
    args: impl IntoIterator<Item = String>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Command<Config>, ConfigError> {
    let flags = match flags::Flags::parse(args)? {
        flags::Parsed::Flags(flags) => *flags,
        flags::Parsed::Print(text) => return Ok(Command::Print(text)),
    };
    let mut settings = Settings::from_environment(lookup)?;
    if settings.tls.skip_verify {
        return Err(ConfigError::SkipVerify);
    }
    settings.cache_size = flags.cache_size;
    let (certificate, key) = (flags.certificate()?, flags.key());
    let logging = Logging { level: flags.log_level, format: flags.log_format, always: Some(audit::TARGET) };
    flags.vault.overlay(&mut settings)?;
    let config = Config {
        listen: flags::listen(&flags.listen)?,
        certificate,
        key,
        vault: Vault {
            allowed: flags::allowed(&flags.allowed_vault_addresses, &settings)?,
            providers: flags.providers,
            default_audience: flags.default_audience,
            settings,
        },
        request_timeout: flags.request_timeout,
        max_in_flight: flags.max_in_flight,
        max_in_flight_per_user: flags.max_in_flight_per_user,
        shutdown_delay: flags.shutdown_delay,
        warnings: warnings(lookup),
    };
    Ok(Command::Serve(logging, Box::new(config)))
}

fn warnings(lookup: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let set = |name: &&str| lookup(name).is_some_and(|token| !token.is_empty());
    let ignored = |name| format!("{name} is ignored: every read logs in with its own service account");
    ["VAULT_TOKEN", "BAO_TOKEN"].into_iter().filter(set).map(ignored).collect()
}

#[cfg(test)]
mod tests;
