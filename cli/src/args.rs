//! The command line.

mod check;
mod connection;
mod convert;
mod doctor;
mod mount;
mod render;
mod status;

use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub(crate) use self::check::CheckArgs;
pub(crate) use self::connection::{KubeconfigArgs, VaultArgs};
pub(crate) use self::convert::ConvertArgs;
pub(crate) use self::doctor::{DoctorArgs, NamedAccount};
pub(crate) use self::mount::MountArgs;
pub(crate) use self::render::RenderArgs;
pub(crate) use self::status::StatusArgs;

/// Works with SecretProviderClasses by hand: finds mistakes in them and in the installation, and
/// mounts them without a pod.
#[derive(Debug, Parser)]
#[command(name = "coffer", version)]
pub(crate) struct Cli {
    /// The command.
    #[command(subcommand)]
    pub(crate) command: CliCommand,
}

impl Cli {
    /// Parses the command line of this process. Linked as `kubectl-coffer`, the program is a
    /// kubectl plugin and shows itself as `kubectl coffer`.
    pub(crate) fn of_process() -> Self {
        let mut command = Self::command();
        let program = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
        if program.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"kubectl-")) {
            command = command.name("kubectl coffer").bin_name("kubectl coffer");
        }
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    /// Find every mistake in SecretProviderClasses, in files or in the cluster.
    Check(Box<CheckArgs>),
    /// Convert workloads from annotations of the Vault Agent Injector to SecretProviderClasses.
    Convert(Box<ConvertArgs>),
    /// Examine the whole installation, and say of everything that is wrong which command mends it.
    Doctor(Box<DoctorArgs>),
    /// Mount a SecretProviderClass as the CSI driver would, from any provider's socket.
    Mount(Box<MountArgs>),
    /// Print what a template or a SecretProviderClass gives, from sample data or from Vault.
    Render(Box<RenderArgs>),
    /// List the tokens and leases that coffer-csi holds on this node, without any value. Needs
    /// root.
    Status(StatusArgs),
}

/// Formats of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    Text,
    /// For programs: a JSON object.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
