//! Logs on standard error, as text or JSON. A panic is logged by its place alone: its message may
//! hold a secret.

mod event_line;
mod line_limit;

use std::panic;
use std::str::FromStr;
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, LevelParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

use self::event_line::EventLines;
use self::line_limit::LineLimit;

/// Crates whose logs may hold what is sent or received.
const SILENT: [&str; 9] =
    ["vaultrs", "rustify", "reqwest", "hyper", "hyper_util", "h2", "kube_client", "kube_runtime", "tower"];

/// Time between two looks for lines that were left out.
const REPORT_PAUSE: Duration = Duration::from_secs(5);

/// Level and format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logging {
    /// The most verbose level that is logged.
    pub level: LevelFilter,
    /// Format of the lines.
    pub format: LogFormat,
    /// A target whose lines are written whatever the level.
    pub always: Option<&'static str>,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text for each event.
    Text,
    /// One JSON object for each event, on a line of its own.
    Json,
}

/// A log format that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("neither text nor json")]
pub struct LogFormatError;

impl FromStr for LogFormat {
    type Err = LogFormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogFormatError),
        }
    }
}

/// A log level that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("not one of off, error, warn, info, debug and trace")]
pub struct LogLevelError(#[source] LevelParseError);

/// Parses a log level.
///
/// # Errors
/// The text names no level.
pub fn parse_log_level(text: &str) -> Result<LevelFilter, LogLevelError> {
    text.parse().map_err(LogLevelError)
}

impl Logging {
    /// Starts logging, and logs panics instead of printing them. A tenant cannot add a line to an
    /// event, and cannot cause lines without end.
    pub(crate) fn start(self, program: &'static str) -> LeftOutLines {
        let mut filter = Targets::new().with_default(self.level);
        filter = filter.with_targets(SILENT.map(|name| (name, LevelFilter::OFF)));
        filter = filter.with_targets(self.always.map(|target| (target, LevelFilter::INFO)));
        let limit = LineLimit::new(self.always);
        let layer = fmt::layer().with_writer(EventLines(self.format)).with_target(false);
        let registry = Registry::default().with(filter).with(limit.clone());
        match self.format {
            LogFormat::Text => registry.with(layer.with_ansi(false)).init(),
            LogFormat::Json => registry.with(layer.json().flatten_event(true)).init(),
        }
        panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(place, "a fault in {program}; please report it");
        }));
        LeftOutLines(limit)
    }
}

/// Reports lines that were left out of the log.
pub(crate) struct LeftOutLines(LineLimit);

impl LeftOutLines {
    /// Reports again and again.
    pub(crate) async fn follow(self) {
        loop {
            tokio::time::sleep(REPORT_PAUSE).await;
            self.0.report();
        }
    }
}
