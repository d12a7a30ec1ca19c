//! Logs on standard error, as text or JSON. Panics are logged by place only: their message may hold anything.

use std::panic;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

use crate::audit;
use crate::config::LogFormat;

/// Crates that log what they send or receive.
const SILENT: [&str; 9] =
    ["vaultrs", "rustify", "reqwest", "hyper", "hyper_util", "h2", "kube_client", "kube_runtime", "tower"];

/// Starts logging, and logs panics instead of printing them. The audit lines are written at any level.
pub(crate) fn init(level: LevelFilter, format: LogFormat) {
    let filter = SILENT
        .iter()
        .fold(Targets::new().with_default(level), |filter, name| filter.with_target(*name, LevelFilter::OFF));
    let filter = filter.with_target(audit::TARGET, LevelFilter::INFO);
    let layer = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = Registry::default().with(filter);
    match format {
        LogFormat::Text => registry.with(layer.with_ansi(false)).init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).init(),
    }
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a fault in coffer-api-server; please report it");
    }));
}
