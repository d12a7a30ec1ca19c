//! The options of `convert`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use coffer_kubernetes::KubeconfigChoice;

use super::OutputFormat;

/// The options of `convert`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("workloads").required(true).args(["paths", "cluster"])),
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
    /// The kubeconfig [default: the files of KUBECONFIG, else ~/.kube/config].
    #[arg(long, value_name = "FILE", requires = "cluster")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig [default: its current context].
    #[arg(long, value_name = "NAME", requires = "cluster")]
    pub(crate) context: Option<String>,
    /// The namespace of the cluster's workloads [default: the context's, default].
    #[arg(long, short, value_name = "NS", requires = "cluster")]
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
}

impl ConvertArgs {
    /// Returns the chosen kubeconfig and context.
    pub(crate) fn kubeconfig_choice(&self) -> KubeconfigChoice {
        KubeconfigChoice { file: self.kubeconfig.clone(), context: self.context.clone() }
    }
}
