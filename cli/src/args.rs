//! The command line.

mod check;

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub(crate) use self::check::{Check, Vault};

/// Works with SecretProviderClasses by hand: finds mistakes in them, and mounts them without a pod.
#[derive(Debug, Parser)]
#[command(name = "coffer", version)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// The command line of this process. Linked as `kubectl-coffer` it is a kubectl plugin, and calls itself so.
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
pub(crate) enum Command {
    /// Find every mistake in SecretProviderClasses, in files or in the cluster.
    Check(Box<Check>),
    /// Mount a SecretProviderClass as the CSI driver would, from any provider's socket.
    Mount(Box<Mount>),
    /// List the tokens and leases that coffer-csi holds on this node: never a value. Run it there as root.
    Status(Status),
}

/// The options of `status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The state directory of coffer-csi.
    #[arg(long, value_name = "DIR", default_value = "/run/coffer")]
    pub(crate) state_dir: PathBuf,
    /// How to list them.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

/// The options of `mount`.
#[derive(Debug, Args)]
pub(crate) struct Mount {
    /// The SecretProviderClass: a manifest in YAML or JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) class: PathBuf,
    /// Which class, if the file has several.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The pod's namespace.
    #[arg(long, value_name = "NS")]
    pub(crate) namespace: String,
    /// The pod's service account.
    #[arg(long, value_name = "SA")]
    pub(crate) service_account: String,
    /// A file with the service account's token; without it the provider mints one, bound to a pod that must exist.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The token's audience [default: the class's `audience`, else vault, or openbao for openbao.sock].
    #[arg(long, requires = "token_file")]
    pub(crate) audience: Option<String>,
    /// The pod's name.
    #[arg(long, value_name = "NAME", default_value = "coffer-mount")]
    pub(crate) pod: String,
    /// The pod's UID.
    #[arg(long, value_name = "UID", default_value = "00000000-0000-0000-0000-000000000000")]
    pub(crate) pod_uid: String,
    /// The provider's socket.
    #[arg(long, value_name = "PATH", default_value = "/var/run/secrets-store-csi-providers/vault.sock")]
    pub(crate) socket: PathBuf,
    /// The mode of files for which the class has none.
    #[arg(long, value_name = "OCTAL", default_value = "0644", value_parser = permission)]
    pub(crate) permission: u32,
    /// Where the files go: a directory that is absent, empty, or from an earlier mount, which it replaces whole.
    #[arg(long, value_name = "DIR")]
    pub(crate) target: PathBuf,
    /// How to say what was mounted.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs: a JSON object.
    Json,
}

fn permission(text: &str) -> Result<u32, &'static str> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("an octal mode from 0 to 0777 is wanted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_permission_is_octal() {
        assert_eq!(permission("0644"), Ok(0o644));
        assert_eq!(permission("400"), Ok(0o400));
        for wrong in ["", "0x1", "888", "-1", "01777"] {
            permission(wrong).expect_err(wrong);
        }
    }
}
