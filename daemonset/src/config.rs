//! The configuration: command line over environment over defaults.

mod flags;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use coffer_kubernetes::KeySource;
use coffer_process::{
    CommandLineError, FlagError, Invocation, Logging, ParsedFlags, Startup, memory_of_tenants, parse_flags,
    warn_of_ignored_variables,
};
use coffer_provider::Settings;
use coffer_provider::settings::BadVariable;

use self::flags::AgentFlags;
use crate::leases::LeaseConfig;
use crate::socket;

/// The configuration of the node agent.
#[derive(Debug)]
pub(crate) struct AgentConfig {
    /// Path of the provider's socket.
    pub(crate) endpoint: PathBuf,
    /// Address of health and metrics; `None` where they are not served.
    pub(crate) health_address: Option<SocketAddr>,
    /// Where the key of the versions is stored.
    pub(crate) key: KeySource,
    /// Largest answer to the driver, in bytes.
    pub(crate) max_response_bytes: usize,
    /// Series of one metric with labels of namespace and class, at most.
    pub(crate) metrics_series: usize,
    pub(crate) settings: Settings,
    /// Where leases are stored; `None` where they are not kept.
    pub(crate) leases: Option<LeaseConfig>,
    /// The name of this node, or of this process's host, for events; `None` where none are written.
    pub(crate) event_source: Option<String>,
}

/// A command line or environment that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentConfigError {
    #[error(transparent)]
    CommandLine(#[from] CommandLineError),
    #[error("flag -{0}")]
    Flag(#[from] FlagError),
    #[error(transparent)]
    Environment(#[from] BadVariable),
}

/// Memory limit if neither flag nor system sets one, in bytes: that of the chart.
const USUAL_MEMORY_LIMIT: usize = 64 << 20;

/// File name of the socket that selects OpenBao's defaults.
const OPENBAO_SOCKET: &str = "openbao.sock";

/// Where kubelet mounts the agent's own token, whose audiences are the cluster's own.
const OWN_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

const NO_LEASES: &str = "leases are not kept, renewed or revoked, and are issued anew at every mount: for that give \
     -state-dir (a directory under /run), NODE_NAME (spec.nodeName), and the right to \"list\" and \"watch\" \"pods\"";

/// Parses the command line and the environment.
///
/// # Errors
/// Names the flag or variable that is wrong.
pub(crate) fn parse(
    args: impl IntoIterator<Item = String>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Invocation<AgentConfig>, AgentConfigError> {
    let flags: AgentFlags = match parse_flags(args.into_iter().map(flags::with_two_dashes))? {
        ParsedFlags::Flags(flags) => *flags,
        ParsedFlags::Print(text) => return Ok(Invocation::Print(text)),
    };
    if flags.version {
        return Ok(Invocation::Print(version(flags.output.as_deref())));
    }
    let endpoint =
        socket::parse_endpoint(&flags.endpoint).map_err(|error| FlagError::new("endpoint", error))?;
    let is_openbao = endpoint.file_name().is_some_and(|name| name == OPENBAO_SOCKET);
    let leases = lease_config(&flags, lookup);
    let mut warnings = warn_of_ignored_variables(lookup, "pod");
    warnings.extend(socket_warning(&endpoint));
    warnings.extend(leases.is_none().then(|| NO_LEASES.to_owned()));
    let logging = Logging { level: flags.level(&mut warnings), format: flags.log_format, always: None };
    let config = AgentConfig {
        health_address: flags.health_address()?,
        key: flags.key(is_openbao),
        event_source: flags.pod_events.then(|| host_name(lookup)),
        max_response_bytes: flags.max_response_bytes,
        metrics_series: flags.metrics_series,
        settings: settings(flags, lookup, &endpoint, is_openbao)?,
        endpoint,
        leases,
    };
    Ok(Invocation::Serve(Box::new(Startup { logging, warnings, config })))
}

/// Returns the settings of the environment, overlaid with the flags.
fn settings(
    flags: AgentFlags,
    lookup: &dyn Fn(&str) -> Option<String>,
    endpoint: &Path,
    is_openbao: bool,
) -> Result<Settings, AgentConfigError> {
    let mut settings = Settings::from_environment(lookup)?;
    settings.cache_size = flags.cache_size;
    settings.memory = memory_of_tenants(flags.memory_limit, USUAL_MEMORY_LIMIT);
    settings.refresh_interval = flags.default_refresh_interval;
    if is_openbao {
        settings.audience = "openbao".to_owned();
    }
    settings.protected_directories.push(socket::directory(endpoint).to_owned());
    settings.protected_directories.extend(flags.state_dir().cloned());
    settings.own_token = Some(PathBuf::from(OWN_TOKEN));
    settings.trusted_addresses = flags.trusted_addresses()?;
    settings.tls.skip_verify = flags.vault_tls_skip_verify.unwrap_or(settings.tls.skip_verify);
    flags.vault.overlay(&mut settings)?;
    Ok(settings)
}

/// Returns where leases are stored; `None` unless directory and node are both known.
fn lease_config(flags: &AgentFlags, lookup: &dyn Fn(&str) -> Option<String>) -> Option<LeaseConfig> {
    Some(LeaseConfig {
        state_dir: flags.state_dir()?.clone(),
        node: lookup("NODE_NAME").filter(|node| !node.is_empty())?,
        revoke_on_shutdown: flags.revoke_on_shutdown,
    })
}

/// Returns the name of this node, else of this process's host, else nothing.
fn host_name(lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let names = ["NODE_NAME", "HOSTNAME"].into_iter().filter_map(lookup);
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_default()
}

/// Returns a warning where drivers will not find the socket.
fn socket_warning(endpoint: &Path) -> Option<String> {
    if socket::is_discoverable(endpoint) {
        return None;
    }
    Some(format!(
        "drivers will not find {}: they look for NAME.sock, NAME of at most 30 letters, digits, \"-\" and \"_\"",
        endpoint.display()
    ))
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
