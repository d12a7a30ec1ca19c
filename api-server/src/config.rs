//! The configuration: command line over environment over defaults.

mod flags;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use coffer_kubernetes::KeySource;
use coffer_process::{
    CommandLineError, FlagError, Invocation, Logging, ParsedFlags, Startup, memory_of_tenants, parse_address,
    parse_flags, warn_of_ignored_variables,
};
use coffer_provider::settings::{BadVariable, TrustedAddresses};
use coffer_provider::{Address, Settings};

use self::flags::ApiServerFlags;
use crate::audit;

/// Memory limit if neither flag nor system sets one, in bytes: that of the chart.
const USUAL_MEMORY_LIMIT: usize = 96 << 20;

/// The configuration of the API server.
pub(crate) struct ApiServerConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) certificate: CertificateSource,
    /// Where the key of the versions is stored.
    pub(crate) key: KeySource,
    pub(crate) vault: VaultConfig,
    /// Time limit of one request.
    pub(crate) request_timeout: Duration,
    /// Series of one metric with labels of namespace and class, at most.
    pub(crate) metrics_series: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) max_in_flight_per_user: usize,
    /// How long to serve on after SIGTERM, until kube-apiserver uses other replicas.
    pub(crate) shutdown_delay: Duration,
}

/// The configuration for reads from Vault.
pub(crate) struct VaultConfig {
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
    /// PEM files.
    Files { certificate: PathBuf, key: PathBuf },
    /// The server issues the certificate itself and stores it in a Secret.
    Managed {
        secret: String,
        /// The Service through which kube-apiserver reaches this server.
        service: String,
    },
}

/// A command line or environment that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiServerConfigError {
    #[error(transparent)]
    CommandLine(#[from] CommandLineError),
    #[error("flag --{0}")]
    Flag(#[from] FlagError),
    #[error(transparent)]
    Environment(#[from] BadVariable),
    #[error(
        "environment variable VAULT_SKIP_VERIFY (or BAO_SKIP_VERIFY): this server always verifies Vault's \
         certificate; unset it, and name the authority to trust by --vault-tls-ca-cert or VAULT_CACERT"
    )]
    SkipVerify,
}

/// Parses the command line and the environment.
///
/// # Errors
/// Names the flag or variable that is wrong.
pub(crate) fn parse(
    args: impl IntoIterator<Item = String>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Invocation<ApiServerConfig>, ApiServerConfigError> {
    let flags: ApiServerFlags = match parse_flags(args)? {
        ParsedFlags::Flags(flags) => *flags,
        ParsedFlags::Print(text) => return Ok(Invocation::Print(text)),
    };
    let mut settings = Settings::from_environment(lookup)?;
    if settings.tls.skip_verify {
        return Err(ApiServerConfigError::SkipVerify);
    }
    settings.cache_size = flags.cache_size;
    settings.memory = memory_of_tenants(flags.memory_limit, USUAL_MEMORY_LIMIT);
    // only addresses of --allowed-vault-addresses are contacted, and these are the operator's
    settings.trusted_addresses = TrustedAddresses::All;
    let (certificate, key) = (flags.certificate()?, flags.key());
    let logging = Logging { level: flags.log_level, format: flags.log_format, always: Some(audit::TARGET) };
    flags.vault.overlay(&mut settings)?;
    let config = ApiServerConfig {
        listen: parse_address(&flags.listen).map_err(|error| FlagError::new("listen", error))?,
        certificate,
        key,
        vault: VaultConfig {
            allowed: flags::allowed_addresses(&flags.allowed_vault_addresses, &settings)?,
            providers: flags.providers,
            default_audience: flags.default_audience,
            settings,
        },
        request_timeout: flags.request_timeout,
        metrics_series: flags.metrics_series,
        max_in_flight: flags.max_in_flight,
        max_in_flight_per_user: flags.max_in_flight_per_user,
        shutdown_delay: flags.shutdown_delay,
    };
    let warnings = warn_of_ignored_variables(lookup, "read");
    Ok(Invocation::Serve(Box::new(Startup { logging, warnings, config })))
}

#[cfg(test)]
mod tests;
