//! Where kube-apiserver and Vault are: options of several commands.

use std::path::PathBuf;

use clap::Args;
use coffer_kubernetes::KubeconfigChoice;

/// Which kubeconfig counts. A command that takes it has a group `cluster_access` of the options that
/// need it.
#[derive(Debug, Args)]
#[group(id = "kubeconfig_choice")]
pub(crate) struct KubeconfigArgs {
    /// The kubeconfig [default: the files of KUBECONFIG, else ~/.kube/config].
    #[arg(long, value_name = "FILE", requires = "cluster_access")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig [default: its current context].
    #[arg(long, value_name = "NAME", requires = "cluster_access")]
    context: Option<String>,
}

impl KubeconfigArgs {
    /// Returns the chosen kubeconfig and context.
    pub(crate) fn choice(&self) -> KubeconfigChoice {
        KubeconfigChoice { file: self.kubeconfig.clone(), context: self.context.clone() }
    }
}

/// Settings that count before those of a class, since Vault may have another address from here than
/// from a pod. The environment counts for what neither sets, as with coffer-csi.
#[derive(Debug, Args)]
#[group(id = "vault")]
pub(crate) struct VaultArgs {
    /// Vault's address, instead of the class's.
    #[arg(long, value_name = "URL", requires = "live")]
    pub(crate) vault_addr: Option<String>,
    /// Vault namespace, instead of the class's.
    #[arg(long, value_name = "NAMESPACE", requires = "live")]
    pub(crate) vault_namespace: Option<String>,
    /// Path of the auth method, instead of the class's.
    #[arg(long, value_name = "PATH", requires = "live")]
    pub(crate) vault_mount: Option<String>,
    /// PEM file of the certificate authorities to trust, instead of the class's.
    #[arg(long, value_name = "FILE", requires = "live")]
    pub(crate) vault_tls_ca_cert: Option<String>,
    /// Name to verify Vault's certificate for, instead of the class's.
    #[arg(long, value_name = "NAME", requires = "live")]
    pub(crate) vault_tls_server_name: Option<String>,
    /// PEM file of the client certificate, instead of the class's.
    #[arg(long, value_name = "FILE", requires_all = ["live", "vault_tls_client_key"])]
    pub(crate) vault_tls_client_cert: Option<String>,
    /// PEM file of the client certificate's key.
    #[arg(long, value_name = "FILE", requires_all = ["live", "vault_tls_client_cert"])]
    pub(crate) vault_tls_client_key: Option<String>,
    /// Accept any certificate of Vault.
    #[arg(long, requires = "live")]
    pub(crate) vault_tls_skip_verify: bool,
}
