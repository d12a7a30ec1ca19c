//! The options of `status`.

use std::path::PathBuf;

use clap::Args;

use super::OutputFormat;

/// The options of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The state directory of coffer-csi.
    #[arg(long, value_name = "DIR", default_value = "/run/coffer")]
    pub(crate) state_dir: PathBuf,
    /// Format of the list.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,
    /// Show it again every two seconds, until Ctrl-C; as JSON one document a line.
    #[arg(long)]
    pub(crate) watch: bool,
}
