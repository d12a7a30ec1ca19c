//! Where kube-apiserver is, and as whom it is called: the kubeconfig, found and read as `kubectl`
//! does, or the pod's service account.

use std::io;
use std::path::{Path, PathBuf};

use coffer_connect::{BadProxy, ProxyRules};
use kube::Config;
use kube::config::{Cluster, InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::ConnectError;

/// Which kubeconfig and which of its contexts a user chose.
#[derive(Debug, Clone, Default)]
pub struct KubeconfigChoice {
    /// The file (`--kubeconfig`); none is the files of `KUBECONFIG`, else `~/.kube/config`.
    pub file: Option<PathBuf>,
    /// The context (`--context`); none is the current context.
    pub context: Option<String>,
}

/// How kube-apiserver is reached.
pub(crate) struct ClusterAccess {
    /// The configuration. It has no proxy.
    pub(crate) config: Config,
    /// The proxies on the way.
    pub(crate) proxies: ProxyRules,
}

/// What is wrong with a kubeconfig.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigFault {
    /// The file cannot be read.
    #[error("the kubeconfig {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is no kubeconfig. The parser's error is not kept: it repeats lines of the file,
    /// which has credentials.
    #[error("{} is no kubeconfig{what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong and where, without a word of the file.
        what: String,
    },
    /// No context is chosen.
    #[error("the kubeconfig has no current context: choose one by --context ({})", list(contexts))]
    NoContext {
        /// The names of the contexts.
        contexts: Vec<String>,
    },
    /// The chosen context is not there.
    #[error("the kubeconfig has no context {context:?}, but {}", list(contexts))]
    UnknownContext {
        /// The name.
        context: String,
        /// The names of the contexts that are there.
        contexts: Vec<String>,
    },
    /// The cluster of the context is not there.
    #[error(
        "the kubeconfig has no cluster {cluster:?}, which its context {context:?} names, but {}",
        list(clusters)
    )]
    UnknownCluster {
        /// The name of the context.
        context: String,
        /// The name of the cluster.
        cluster: String,
        /// The names of the clusters that are there.
        clusters: Vec<String>,
    },
    /// The cluster has no address.
    #[error("the kubeconfig's cluster {0:?} has no server")]
    NoServer(String),
    /// The cluster's `proxy-url` is no proxy.
    #[error(transparent)]
    Proxy(#[from] BadProxy),
    /// A part cannot be used, such as a file that it names.
    #[error("the kubeconfig's context {context:?} cannot be used: {source}")]
    Unusable {
        /// The name of the context.
        context: String,
        /// The reason.
        source: Box<KubeconfigError>,
    },
    /// There is no kubeconfig that could have the chosen context.
    #[error("there is no kubeconfig, and so no context {0:?}: name a file by --kubeconfig or KUBECONFIG")]
    Missing(String),
}

/// Finds out how kube-apiserver is reached: by the kubeconfig of the choice, else by the pod's
/// service account.
///
/// # Errors
/// [`ConnectError::Kubeconfig`], and [`ConnectError::NoConfig`] if there is neither.
pub(crate) async fn cluster_access(choice: &KubeconfigChoice) -> Result<ClusterAccess, ConnectError> {
    let kubeconfig = read(choice)?;
    let is_empty = kubeconfig.contexts.is_empty() && kubeconfig.clusters.is_empty();
    if !is_empty || choice.file.is_some() {
        return Ok(of_kubeconfig(kubeconfig, choice.context.as_deref()).await?);
    }
    if let Some(context) = &choice.context {
        return Err(KubeconfigFault::Missing(context.clone()).into());
    }
    let config = Config::incluster().map_err(|source: InClusterError| ConnectError::NoConfig(source))?;
    Ok(ClusterAccess { config, proxies: environment() })
}

/// Reads and merges the files. As with `kubectl`, a file that is not there is left out, unless it was
/// named by `--kubeconfig`.
fn read(choice: &KubeconfigChoice) -> Result<Kubeconfig, KubeconfigFault> {
    if let Some(file) = &choice.file {
        return read_file(file);
    }
    let mut merged = Kubeconfig::default();
    for path in usual_files() {
        match read_file(&path) {
            Err(KubeconfigFault::Unreadable { source, .. }) if is_missing(&source) => {}
            read => {
                let next = read?;
                merged = merged.merge(next).map_err(|error| malformed(&path, &error))?;
            }
        }
    }
    Ok(merged)
}

fn usual_files() -> Vec<PathBuf> {
    match std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()) {
        Some(list) => std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect(),
        None => std::env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect(),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn read_file(path: &Path) -> Result<Kubeconfig, KubeconfigFault> {
    Kubeconfig::read_from(path).map_err(|error| match error {
        KubeconfigError::ReadConfig(source, _) => {
            KubeconfigFault::Unreadable { path: path.to_owned(), source }
        }
        error => malformed(path, &error),
    })
}

pub(crate) fn malformed(path: &Path, error: &KubeconfigError) -> KubeconfigFault {
    let what = match error {
        KubeconfigError::Parse(error) => error
            .location()
            .map(|at| format!(": line {}, column {} is wrong", at.line(), at.column()))
            .unwrap_or_default(),
        error => format!(": {error}"),
    };
    KubeconfigFault::Malformed { path: path.to_owned(), what }
}

pub(crate) async fn of_kubeconfig(
    mut kubeconfig: Kubeconfig,
    chosen: Option<&str>,
) -> Result<ClusterAccess, KubeconfigFault> {
    let contexts = || kubeconfig.contexts.iter().map(|named| named.name.clone()).collect();
    let current = kubeconfig.current_context.clone().filter(|name| !name.is_empty());
    let Some(context) = chosen.map(str::to_owned).or(current) else {
        return Err(KubeconfigFault::NoContext { contexts: contexts() });
    };
    let named = kubeconfig.contexts.iter_mut().find(|named| named.name == context);
    let Some(settings) = named.and_then(|named| named.context.as_mut()) else {
        let contexts = kubeconfig.contexts.iter().map(|named| named.name.clone()).collect();
        return Err(KubeconfigFault::UnknownContext { context, contexts });
    };
    settings.namespace = settings.namespace.take().filter(|namespace| !namespace.is_empty());
    let name = settings.cluster.clone();
    let named = kubeconfig.clusters.iter_mut().find(|named| named.name == name);
    let Some(cluster) = named.and_then(|named| named.cluster.as_mut()) else {
        let clusters = kubeconfig.clusters.iter().map(|named| named.name.clone()).collect();
        return Err(KubeconfigFault::UnknownCluster { context, cluster: name, clusters });
    };
    set_server(cluster, &name)?;
    let proxies = proxies(cluster, &name)?;
    // without one kube takes the environment's, by rules of its own
    cluster.proxy_url = Some("http://unused".to_owned());
    let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config =
        config.map_err(|source| KubeconfigFault::Unusable { context, source: Box::new(source) })?;
    config.proxy_url = None;
    Ok(ClusterAccess { config, proxies })
}

/// Completes the cluster's address: as with `kubectl`, the scheme may be missing.
fn set_server(cluster: &mut Cluster, name: &str) -> Result<(), KubeconfigFault> {
    let server = cluster.server.as_deref().unwrap_or_default();
    if server.is_empty() {
        return Err(KubeconfigFault::NoServer(name.to_owned()));
    }
    if !server.contains("://") {
        let has_tls = cluster.certificate_authority.is_some()
            || cluster.certificate_authority_data.is_some()
            || cluster.insecure_skip_tls_verify == Some(true);
        let scheme = if has_tls { "https" } else { "http" };
        cluster.server = Some(format!("{scheme}://{server}"));
    }
    Ok(())
}

fn proxies(cluster: &Cluster, name: &str) -> Result<ProxyRules, BadProxy> {
    match cluster.proxy_url.as_deref().filter(|url| !url.is_empty()) {
        Some(url) => ProxyRules::only(&format!("proxy-url of the kubeconfig's cluster {name:?}"), url),
        None => Ok(environment()),
    }
}

fn environment() -> ProxyRules {
    ProxyRules::from_environment(&|name| std::env::var(name).ok())
}

/// Lists some names.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    names.sort();
    let left = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    match (names.is_empty(), left) {
        (true, _) => "none".to_owned(),
        (false, 0) => names.join(", "),
        (false, left) => format!("{} and {left} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_file_is_not_repeated() {
        let broken = "users:\n- name: u\n  user: {token: hunter2, %\n";
        let error = Kubeconfig::from_yaml(broken).expect_err("not YAML");
        assert!(format!("{error} {error:?}").contains("hunter2"), "the parser repeats it no more");
        let fault = malformed(Path::new("config"), &error);
        assert_eq!(fault.to_string(), "config is no kubeconfig: line 3, column 26 is wrong");
        assert!(!format!("{fault:?}").contains("hunter2"));
        assert!(std::error::Error::source(&fault).is_none());
    }
}
