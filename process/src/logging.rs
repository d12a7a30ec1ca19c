//! Logs on standard error, as text or JSON. Panics are logged by place only: their message may hold anything.

use std::panic;
use std::str::FromStr;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

/// Crates that log what they send or receive.
const SILENT: [&str; 9] =
    ["vaultrs", "rustify", "reqwest", "hyper", "hyper_util", "h2", "kube_client", "kube_runtime", "tower"];

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logging {
    /// The least level that is logged.
    pub level: LevelFilter,
    /// The lines' format.
    pub format: LogFormat,
    /// A target whose lines are written at any level.
    pub always: Option<&'static str>,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("neither text nor json"),
        }
    }
}

impl Logging {
    /// Starts logging, and logs panics instead of printing them.
    pub(crate) fn start(self, program: &'static str) {
        let mut filter = Targets::new().with_default(self.level);
        filter = filter.with_targets(SILENT.map(|name| (name, LevelFilter::OFF)));
        filter = filter.with_targets(self.always.map(|target| (target, LevelFilter::INFO)));
        let layer = fmt::layer().with_writer(std::io::stderr).with_target(false);
        let registry = Registry::default().with(filter);
        match self.format {
            LogFormat::Text => registry.with(layer.with_ansi(false)).init(),
            LogFormat::Json => registry.with(layer.json().flatten_event(true)).init(),
        }
        panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(place, "a fault in {program}; please report it");
        }));
    }
}
