//! The options of `mount`.

use std::path::PathBuf;

use clap::Args;
use thiserror::Error;

use super::OutputFormat;

/// The options of `mount`.
#[derive(Debug, Args)]
pub(crate) struct MountArgs {
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
    /// A file with the service account's token. Without it the provider requests one, bound to the
    /// pod, which then must exist.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The token's audience [default: the class's `audience`, else vault, or openbao for
    /// openbao.sock].
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
    /// The mode of files for which the class sets none.
    #[arg(long, value_name = "OCTAL", default_value = "0644", value_parser = permission)]
    pub(crate) permission: u32,
    /// Where the files go: a directory that is absent, empty, or from an earlier mount. An earlier
    /// mount is replaced as a whole.
    #[arg(long, value_name = "DIR")]
    pub(crate) target: PathBuf,
    /// Format of the report.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,
}

/// A text that is not a file mode.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("an octal mode from 0 to 0777 is wanted")]
struct BadPermission;

fn permission(text: &str) -> Result<u32, BadPermission> {
    match u32::from_str_radix(text, 8) {
        Ok(mode @ 0..=0o777) => Ok(mode),
        _ => Err(BadPermission),
    }
}

#[cfg(test)]
mod tests {
    use super::{BadPermission, permission};

    #[test]
    fn a_permission_is_octal() {
        assert_eq!(permission("0644"), Ok(0o644));
        assert_eq!(permission("400"), Ok(0o400));
        for wrong in ["", "0x1", "888", "-1", "01777"] {
            assert_eq!(permission(wrong), Err(BadPermission), "{wrong:?}");
        }
    }
}
