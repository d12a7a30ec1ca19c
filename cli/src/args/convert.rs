//! The options of `convert`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::{KubeconfigArgs, OutputFormat, VaultArgs};

/// The options of `convert`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("workloads").required(true).args(["paths", "cluster"])),
    group(ArgGroup::new("cluster_access").multiple(true).args(["cluster", "live"])),
    after_help = "Exit code: 0 nothing is left to do, 1 something needs a person, 2 something could not be read, \
        written or asked."
)]
pub(crate) struct ConvertArgs {
    /// Manifests in YAML or JSON, directories of them, or - for standard input.
    #[arg(value_name = "FILE|DIR|-")]
    pub(crate) paths: Vec<PathBuf>,
    /// Convert the workloads of the cluster; the result is patches.
    #[arg(long)]
    pub(crate) cluster: bool,
    /// The kubeconfig and its context.
    #[command(flatten)]
    pub(crate) kubeconfig: KubeconfigArgs,
    /// The namespace of the cluster's workloads; with --live, of workloads in files that name none
    /// [default: the context's, default].
    #[arg(long, short, value_name = "NS", requires = "cluster_access")]
    pub(crate) namespace: Option<String>,
    /// Convert the workloads of all namespaces of the cluster.
    #[arg(long, short = 'A', requires = "cluster", conflicts_with = "namespace")]
    pub(crate) all_namespaces: bool,
    /// The directory to write to, with the directories of what is read [default: standard output].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Write over files that are there already.
    #[arg(long, requires = "out")]
    pub(crate) overwrite: bool,
    /// Write classes and patches for kubectl patch or kustomize, instead of whole manifests.
    #[arg(long)]
    pub(crate) patch: bool,
    /// The provider of the classes [default: vault; openbao for OpenBao's annotations].
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Count a warning as something that needs a person.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Format of the report, which is on standard error as text, on standard output as JSON.
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,
    /// Also log in to Vault, and ask it which paths are of KV version 2.
    #[arg(long)]
    pub(crate) live: bool,
    /// Log in as this service account [default: that of each workload], with a token that the
    /// kubeconfig's user requests.
    #[arg(long, value_name = "SA", requires = "live")]
    pub(crate) service_account: Option<String>,
    /// Log in with the service account token in this file.
    #[arg(long, value_name = "FILE", requires = "live", conflicts_with = "service_account")]
    pub(crate) token_file: Option<PathBuf>,
    /// The audience of a requested token if a pod names none [default: vault, or openbao for that
    /// provider].
    #[arg(long, requires = "live", conflicts_with = "token_file")]
    pub(crate) audience: Option<String>,
    /// Vault's address and TLS.
    #[command(flatten)]
    pub(crate) vault: VaultArgs,
}

impl ConvertArgs {
    /// Returns whether kube-apiserver is asked for anything.
    pub(crate) fn needs_cluster(&self) -> bool {
        self.cluster || (self.live && self.token_file.is_none())
    }
}
