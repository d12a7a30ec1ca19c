//! The one place that reads configuration: command line over environment over defaults.

mod flags;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use coffer_kubernetes::KeyPlace;
use coffer_process::{BadFlag, Command, Logging};
use coffer_provider::Settings;
use coffer_provider::settings::BadVariable;

use crate::leases::LeaseConfig;

/// Everything that is configured, as plain values.
#[derive(Debug)]
pub(crate) struct Config {
    /// Path of the provider's socket.
    pub(crate) endpoint: PathBuf,
    /// Where health and metrics are served; none to serve none.
    pub(crate) health_address: Option<SocketAddr>,
    /// Where the key of the versions lies.
    pub(crate) key: KeyPlace,
    /// Largest answer to the driver, in bytes.
    pub(crate) max_response_bytes: usize,
    pub(crate) settings: Settings,
    /// Where leases are kept; none to keep none.
    pub(crate) leases: Option<LeaseConfig>,
    /// What the operator should know, to be logged at start.
    pub(crate) warnings: Vec<String>,
}

/// A configuration that cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{0}")]
    Flags(String),
    #[error("flag -{}: {}", .0.flag, .0.reason)]
    Flag(BadFlag),
    #[error(transparent)]
    Environment(#[from] BadVariable),
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
        flags::Parsed::Help(text) => return Ok(Command::Print(text)),
    };
    if flags.version {
        return Ok(Command::Print(version(flags.output.as_deref())));
    }
    let mut settings = Settings::from_environment(lookup)?;
    settings.cache_size = flags.cache_size;
    settings.tls.skip_verify = flags.vault_tls_skip_verify.unwrap_or(settings.tls.skip_verify);
    let endpoint = socket_path(&flags.endpoint)?;
    let mut secret = "vault-csi-provider-hmac-key";
    if endpoint.file_name().is_some_and(|name| name == "openbao.sock") {
        settings.audience = "openbao".to_owned();
        secret = "openbao-csi-provider-hmac-key";
    }
    settings.protected_directories.push(crate::socket::directory(&endpoint).to_owned());
    settings.protected_directories.extend(flags.state_dir().cloned());
    settings.refresh_interval = flags.default_refresh_interval;
    let key = match &flags.hmac_key_file {
        Some(path) => KeyPlace::File(path.clone()),
        None => KeyPlace::Secret(flags.hmac_secret_name.clone().unwrap_or_else(|| secret.to_owned())),
    };
    let mut warnings = warnings(lookup, &endpoint);
    let leases = leases(&flags, lookup);
    if leases.is_none() {
        warnings.push(NO_LEASES.to_owned());
    }
    let logging = Logging { level: flags.level(&mut warnings), format: flags.log_format, always: None };
    flags.vault.overlay(&mut settings)?;
    let config = Config {
        health_address: flags::health_address(&flags.health_addr)?,
        key,
        max_response_bytes: flags.max_response_bytes,
        warnings,
        endpoint,
        settings,
        leases,
    };
    Ok(Command::Serve(logging, Box::new(config)))
}

/// Where leases are kept; nothing unless directory and node are both known.
fn leases(flags: &flags::Flags, lookup: &dyn Fn(&str) -> Option<String>) -> Option<LeaseConfig> {
    Some(LeaseConfig {
        state_dir: flags.state_dir()?.clone(),
        node: lookup("NODE_NAME").filter(|node| !node.is_empty())?,
        revoke_on_shutdown: flags.revoke_on_shutdown,
    })
}

const NO_LEASES: &str = "leases are not kept, renewed or revoked, and are issued anew at every mount: for that give \
     -state-dir (a directory under /run), NODE_NAME (spec.nodeName), and the right to \"list\" and \"watch\" \"pods\"";

fn socket_path(endpoint: &str) -> Result<PathBuf, ConfigError> {
    crate::socket::parse_endpoint(endpoint)
        .map_err(|error| BadFlag::new("endpoint", error.to_string()).into())
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
