//! The options of `doctor`.

use clap::{ArgGroup, Args};

use super::{KubeconfigArgs, OutputFormat};

/// The options of `doctor`.
#[derive(Debug, Args)]
#[command(
    // every option of the group may stand alone: the cluster is always asked
    group(ArgGroup::new("cluster_access").multiple(true).args(["kubeconfig", "context"])),
    after_help = "Exit code: 0 nothing is wrong, 1 something is, 2 something could not be seen."
)]
pub(crate) struct DoctorArgs {
    /// The kubeconfig and its context.
    #[command(flatten)]
    pub(crate) kubeconfig: KubeconfigArgs,
    /// A namespace of Coffer's programs, may be repeated [default: every one, found by labels].
    #[arg(long = "namespace", short, value_name = "NS")]
    pub(crate) namespaces: Vec<String>,
    /// Vault's address from here, instead of the one that the programs use.
    #[arg(long, value_name = "URL")]
    pub(crate) vault_addr: Option<String>,
    /// PEM file of the certificate authorities to trust, instead of those of the programs.
    #[arg(long, value_name = "FILE")]
    pub(crate) vault_tls_ca_cert: Option<String>,
    /// Name to verify Vault's certificate for, instead of that of the programs.
    #[arg(long, value_name = "NAME")]
    pub(crate) vault_tls_server_name: Option<String>,
    /// Accept any certificate of Vault.
    #[arg(long)]
    pub(crate) vault_tls_skip_verify: bool,
    /// Also log in to Vault as this service account with each class of its namespace, with a token
    /// that the kubeconfig's user requests; may be repeated.
    #[arg(long = "login", value_name = "NS/SA", value_parser = parse_account)]
    pub(crate) logins: Vec<NamedAccount>,
    /// Count a warning as a mistake.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Format of the report.
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,
}

/// A service account, as `NAMESPACE/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedAccount {
    /// The namespace.
    pub(crate) namespace: String,
    /// The name.
    pub(crate) name: String,
}

/// A text that is not a service account.
#[derive(Debug, thiserror::Error)]
#[error("write NAMESPACE/SERVICEACCOUNT")]
struct NotAnAccount;

fn parse_account(text: &str) -> Result<NamedAccount, NotAnAccount> {
    let parts = text.split_once('/');
    let parts = parts.filter(|(namespace, name)| {
        coffer_kubernetes::is_namespace_name(namespace) && coffer_kubernetes::is_object_name(name)
    });
    let (namespace, name) = parts.ok_or(NotAnAccount)?;
    Ok(NamedAccount { namespace: namespace.to_owned(), name: name.to_owned() })
}
