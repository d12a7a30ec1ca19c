//! The classes of a cluster, which the user's kubeconfig names.

use coffer_provider::root_cause;
use kube::config::InferConfigError;
use kube::{Client, Config};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::source::ManifestSource;

const API: &str = "/apis/secrets-store.csi.x-k8s.io/v1";

/// Number of classes that one request asks for.
const PAGE_SIZE: usize = 500;

/// Why the classes cannot be listed.
#[derive(Debug, Error)]
pub(crate) enum ClusterError {
    /// No configuration was found.
    #[error("there is no kubeconfig to reach the cluster by: {}", root_cause(.0))]
    NoKubeconfig(#[source] InferConfigError),
    /// The configuration cannot be used.
    #[error("the kubeconfig cannot be used: {}", root_cause(.0))]
    BadKubeconfig(#[source] kube::Error),
    /// The namespace cannot be part of a URL.
    #[error(transparent)]
    BadNamespace(#[from] http::Error),
    /// The cluster does not know the resource.
    #[error("the cluster has no SecretProviderClasses: the Secrets Store CSI driver is not installed")]
    NoDriver,
    /// kube-apiserver refused the request.
    #[error("kube-apiserver answered {code} ({message})")]
    Refused {
        /// The HTTP status.
        code: u16,
        /// kube-apiserver's message.
        message: String,
    },
    /// No answer came.
    #[error("kube-apiserver cannot be reached: {}", root_cause(.0))]
    Unreachable(#[source] kube::Error),
}

/// A page of the list of classes.
#[derive(Deserialize)]
struct ClassPage {
    metadata: PageMetadata,
    items: Vec<Value>,
}

#[derive(Deserialize)]
struct PageMetadata {
    /// Where the next page begins; empty on the last page.
    #[serde(default, rename = "continue")]
    next: String,
}

/// Returns the classes of a namespace, which is by default the kubeconfig's, or of all namespaces.
pub(crate) async fn classes(namespace: Option<&str>, all: bool) -> Result<ManifestSource, ClusterError> {
    let config = Config::infer().await.map_err(ClusterError::NoKubeconfig)?;
    let namespace = namespace.unwrap_or(&config.default_namespace);
    let path = if all { String::new() } else { format!("/namespaces/{namespace}") };
    let path = format!("{API}{path}/secretproviderclasses");
    let client = Client::try_from(config).map_err(ClusterError::BadKubeconfig)?;
    let mut documents = Vec::new();
    let mut next = String::new();
    loop {
        let uri = format!("{path}?limit={PAGE_SIZE}&continue={next}");
        let request = http::Request::get(uri).body(Vec::new())?;
        let page = client.request::<ClassPage>(request).await.map_err(refusal)?;
        documents.extend(page.items.into_iter().map(Into::into));
        next = page.metadata.next;
        if next.is_empty() {
            return Ok(ManifestSource { file: None, lines: Vec::new(), documents });
        }
    }
}

fn refusal(error: kube::Error) -> ClusterError {
    match error {
        kube::Error::Api(status) if status.code == 404 => ClusterError::NoDriver,
        kube::Error::Api(status) => {
            ClusterError::Refused { code: status.code, message: status.message.clone() }
        }
        error => ClusterError::Unreachable(error),
    }
}
