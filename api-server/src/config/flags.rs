//! The flags of the API server.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use coffer_kubernetes::{KeySource, is_object_name};
use coffer_process::{FlagError, LogFormat, VaultFlags, parse_log_level};
use coffer_provider::{Address, DEFAULT_SERIES, Settings, go_duration};
use tracing_subscriber::filter::LevelFilter;

use super::CertificateSource;

/// Serves the aggregated API custom.secrets.k8s.io: kubectl get of what a SecretProviderClass would
/// mount.
#[derive(Parser)]
#[command(name = "coffer-api-server", version, args_override_self = true)]
pub(super) struct ApiServerFlags {
    /// Address to serve on
    #[arg(long, default_value = ":8443", value_name = "[HOST]:PORT")]
    pub(super) listen: String,

    /// PEM file of the serving certificate; without one, the server issues a certificate itself
    #[arg(long, value_name = "PATH", requires = "tls_private_key_file")]
    tls_cert_file: Option<PathBuf>,

    /// PEM file of the serving certificate's key
    #[arg(long, value_name = "PATH", requires = "tls_cert_file")]
    tls_private_key_file: Option<PathBuf>,

    /// Secret for the certificate that the server issues itself
    #[arg(long, default_value = "coffer-api-server-tls", value_name = "NAME")]
    serving_secret: String,

    /// Service that kube-apiserver reaches this server through
    #[arg(long, default_value = "coffer-api-server", value_name = "NAME")]
    service: String,

    /// Secret with the key of the versions, shared with the node agents
    #[arg(long, default_value = "vault-csi-provider-hmac-key", value_name = "NAME")]
    hmac_secret_name: String,

    /// File with the key of the versions, in place of the Secret
    #[arg(long, value_name = "PATH")]
    hmac_key_file: Option<PathBuf>,

    /// Addresses of Vault that may be contacted, whatever a class says [default: the address of
    /// --vault-addr]
    #[arg(long, value_delimiter = ',', value_name = "URL,…")]
    pub(super) allowed_vault_addresses: Vec<String>,

    /// Providers whose SecretProviderClasses are served
    #[arg(long, value_delimiter = ',', default_value = "vault,openbao", value_name = "NAME,…")]
    pub(super) providers: Vec<String>,

    /// Audience of service account tokens where a class names none
    #[arg(long, default_value = "vault", value_name = "AUDIENCE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(super) default_audience: String,

    /// Time limit of one read
    #[arg(long, default_value = "8s", value_name = "DURATION", value_parser = parse_duration)]
    pub(super) request_timeout: Duration,

    /// Requests for secrets at once, at most
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub(super) max_in_flight: usize,

    /// Requests of one user for secrets at once, at most
    #[arg(long, default_value_t = 40, value_name = "N")]
    pub(super) max_in_flight_per_user: usize,

    /// Time to serve on after SIGTERM, until kube-apiserver uses other replicas
    #[arg(long, default_value = "10s", value_name = "DURATION", value_parser = parse_duration)]
    pub(super) shutdown_delay: Duration,

    /// Memory limit of the process, in bytes; half of it is for what reads cause [default: that of the
    /// container, else 96 MiB]
    #[arg(long, value_name = "BYTES")]
    pub(super) memory_limit: Option<usize>,

    /// Identities whose Vault token is cached, at most
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub(super) cache_size: usize,

    /// Series of one metric with labels of namespace and class, at most; more count under _other
    #[arg(long, default_value_t = DEFAULT_SERIES, value_name = "N")]
    pub(super) metrics_series: usize,

    /// Log level: off, error, warn, info, debug or trace; the audit lines are always written
    #[arg(long, default_value = "info", value_name = "LEVEL", value_parser = parse_log_level)]
    pub(super) log_level: LevelFilter,

    /// Log format: text or json
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    pub(super) log_format: LogFormat,

    #[command(flatten)]
    pub(super) vault: VaultFlags,
}

impl ApiServerFlags {
    /// Returns where the serving certificate comes from.
    ///
    /// # Errors
    /// A flag that names a Secret or Service has another value than a name.
    pub(super) fn certificate(&self) -> Result<CertificateSource, FlagError> {
        match (&self.tls_cert_file, &self.tls_private_key_file) {
            (Some(certificate), Some(key)) => {
                Ok(CertificateSource::Files { certificate: certificate.clone(), key: key.clone() })
            }
            _ if !is_object_name(&self.serving_secret) => Err(not_a_name("serving-secret")),
            _ if !is_object_name(&self.service) => Err(not_a_name("service")),
            _ => Ok(CertificateSource::Managed {
                secret: self.serving_secret.clone(),
                service: self.service.clone(),
            }),
        }
    }

    /// Returns where the key of the versions is stored.
    pub(super) fn key(&self) -> KeySource {
        match &self.hmac_key_file {
            Some(path) => KeySource::File(path.clone()),
            None => KeySource::Secret(self.hmac_secret_name.clone()),
        }
    }
}

/// Returns the addresses that may be contacted; the configured address where none is listed.
pub(super) fn allowed_addresses(listed: &[String], settings: &Settings) -> Result<Vec<Address>, FlagError> {
    let listed = listed.iter().filter(|address| !address.trim().is_empty());
    let listed: Vec<Address> = listed
        .map(|address| {
            Address::parse(address).map_err(|error| FlagError::new("allowed-vault-addresses", error))
        })
        .collect::<Result<_, _>>()?;
    Ok(if listed.is_empty() { vec![settings.address.clone()] } else { listed })
}

fn not_a_name(flag: &'static str) -> FlagError {
    FlagError::new(flag, "not the name of an object: lower-case letters, digits, \"-\" and \".\"")
}

/// A value that is not a duration, or a longer one than an hour.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a duration such as 8s or 1m, of at most an hour")]
struct TimeLimitError(String);

fn parse_duration(text: &str) -> Result<Duration, TimeLimitError> {
    go_duration::parse(text)
        .filter(|duration| *duration <= Duration::from_secs(3600))
        .ok_or_else(|| TimeLimitError(text.to_owned()))
}
