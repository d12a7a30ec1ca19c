//! The one place that reads configuration: command line over environment over defaults.

mod flags;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use coffer_provider::Settings;
use coffer_provider::settings::BadVariable;

/// What the process is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Print this and end.
    Print(String),
    /// Serve the driver.
    Serve(Box<Config>),
}

/// Everything that is configured, as plain values.
#[derive(Debug)]
pub(crate) struct Config {
    /// Path of the provider's socket.
    pub(crate) endpoint: PathBuf,
    /// Where health and metrics are served; none to serve none.
    pub(crate) health_address: Option<SocketAddr>,
    pub(crate) log_level: tracing_subscriber::filter::LevelFilter,
    pub(crate) log_format: LogFormat,
    pub(crate) key: KeyPlace,
    /// Largest answer to the driver, in bytes.
    pub(crate) max_response_bytes: usize,
    pub(crate) settings: Settings,
    /// What the operator should know, to be logged at start.
    pub(crate) warnings: Vec<String>,
}

/// Where the key of the versions lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyPlace {
    /// A Secret of this name in the provider's own namespace, made where it is missing.
    Secret(String),
    /// A file, the same on every node.
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
    #[error("flag -{flag}: {reason}")]
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
        flags::Parsed::Help(text) => return Ok(Command::Print(text)),
    };
    if flags.version {
        return Ok(Command::Print(version(flags.output.as_deref())));
    }
    let mut settings = Settings::from_environment(lookup)?;
    let endpoint = socket_path(&flags.endpoint)?;
    let mut secret = "vault-csi-provider-hmac-key";
    if endpoint.file_name().is_some_and(|name| name == "openbao.sock") {
        settings.audience = "openbao".to_owned();
        secret = "openbao-csi-provider-hmac-key";
    }
    settings.protected_directories.push(crate::socket::directory(&endpoint).to_owned());
    let key = match &flags.hmac_key_file {
        Some(path) => KeyPlace::File(path.clone()),
        None => KeyPlace::Secret(flags.hmac_secret_name.clone().unwrap_or_else(|| secret.to_owned())),
    };
    let mut warnings = warnings(lookup, &endpoint);
    let mut config = Config {
        health_address: flags::health_address(&flags.health_addr)?,
        log_level: flags.level(&mut warnings),
        log_format: flags.log_format,
        key,
        max_response_bytes: flags.max_response_bytes,
        warnings,
        endpoint,
        settings,
    };
    flags.vault.overlay(&mut config.settings)?;
    config.settings.cache_size = flags.cache_size;
    Ok(Command::Serve(Box::new(config)))
}

fn socket_path(endpoint: &str) -> Result<PathBuf, ConfigError> {
    crate::socket::parse_endpoint(endpoint)
        .map_err(|error| ConfigError::Flag { flag: "endpoint", reason: error.to_string() })
}

fn warnings(lookup: &dyn Fn(&str) -> Option<String>, endpoint: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    for name in ["VAULT_TOKEN", "BAO_TOKEN"] {
        if lookup(name).is_some_and(|token| !token.is_empty()) {
            warnings.push(format!("{name} is ignored: every pod logs in with its own service account"));
        }
    }
    if !crate::socket::is_discoverable(endpoint) {
        warnings.push(format!(
            "drivers will not find {}: they look for NAME.sock, NAME of at most 30 letters, digits, \"-\" and \"_\"",
            endpoint.display()
        ));
    }
    warnings
}

fn version(output: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match output {
        Some("json") => format!("{{\"name\":\"coffer-csi\",\"version\":\"{version}\"}}"),
        _ => format!("coffer-csi {version}"),
    }
}

#[cfg(test)]
mod tests;
