//! The options of `check`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::{KubeconfigArgs, OutputFormat, VaultArgs};

/// The options of `check`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("classes").required(true).args(["paths", "cluster"])),
    group(ArgGroup::new("cluster_access").multiple(true).args(["cluster", "service_account"])),
    group(ArgGroup::new("identity").multiple(true).args(["service_account", "token_file"])),
    after_help = "Exit code: 0 no mistake, 1 mistakes, 2 something could not be checked."
)]
pub(crate) struct CheckArgs {
    /// Manifests in YAML or JSON, directories of them, or - for standard input.
    #[arg(value_name = "FILE|DIR|-")]
    pub(crate) paths: Vec<PathBuf>,
    /// Check the classes of the cluster.
    #[arg(long)]
    pub(crate) cluster: bool,
    /// The kubeconfig and its context.
    #[command(flatten)]
    pub(crate) kubeconfig: KubeconfigArgs,
    /// The namespace of the cluster's classes, or of classes in files that name none [default: the
    /// context's, default].
    #[arg(long, short, value_name = "NS")]
    pub(crate) namespace: Option<String>,
    /// Check the classes of all namespaces of the cluster.
    #[arg(long, short = 'A', requires = "cluster", conflicts_with = "namespace")]
    pub(crate) all_namespaces: bool,
    /// A provider whose classes are checked; classes of others are skipped [default: vault,
    /// openbao].
    #[arg(long = "provider", value_name = "NAME")]
    pub(crate) providers: Vec<String>,
    /// The operator's policy, which then says what the classes may name: the file of coffer-csi's
    /// -policy-file.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Count a warning as a mistake.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Format of the report.
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,
    /// Also log in to Vault and read what the classes name; nothing is issued and no value is
    /// shown.
    #[arg(long, requires = "identity")]
    pub(crate) live: bool,
    /// Log in as this service account of the class's namespace, with a token that the kubeconfig's
    /// user requests.
    #[arg(long, value_name = "SA", requires = "live")]
    pub(crate) service_account: Option<String>,
    /// Log in with the service account token in this file.
    #[arg(long, value_name = "FILE", requires = "live")]
    pub(crate) token_file: Option<PathBuf>,
    /// The audience of a requested token if a class names none [default: vault, or openbao for that
    /// provider].
    #[arg(long, requires = "live", conflicts_with = "token_file")]
    pub(crate) audience: Option<String>,
    /// Vault's address and TLS.
    #[command(flatten)]
    pub(crate) vault: VaultArgs,
}

impl CheckArgs {
    /// Returns whether kube-apiserver is asked for anything.
    pub(crate) fn needs_cluster(&self) -> bool {
        self.cluster || self.service_account.is_some()
    }
}
