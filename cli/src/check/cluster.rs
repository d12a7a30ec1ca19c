//! The classes of a cluster.

use coffer_kubernetes::{CALL_TIMEOUT, CallError, KubeConnection, call};
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
    /// The namespace cannot be part of a URL.
    #[error(transparent)]
    BadNamespace(#[from] http::Error),
    /// The cluster does not know the resource.
    #[error("the cluster has no SecretProviderClasses: the Secrets Store CSI driver is not installed")]
    NoDriver,
    /// kube-apiserver refused the request, or did not answer.
    #[error(transparent)]
    Call(CallError),
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

/// Returns the classes of a namespace, or of all namespaces.
pub(crate) async fn classes(
    connection: &KubeConnection,
    namespace: Option<&str>,
) -> Result<ManifestSource, ClusterError> {
    let path = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
    let path = format!("{API}{path}/secretproviderclasses");
    let mut documents = Vec::new();
    let mut next = String::new();
    loop {
        let uri = format!("{path}?limit={PAGE_SIZE}&continue={next}");
        let request = http::Request::get(uri).body(Vec::new())?;
        let page = call(CALL_TIMEOUT, connection.client.request::<ClassPage>(request)).await;
        let page = page.map_err(refusal)?;
        documents.extend(page.items.into_iter().map(Into::into));
        next = page.metadata.next;
        if next.is_empty() {
            return Ok(ManifestSource { file: None, lines: Vec::new(), documents });
        }
    }
}

fn refusal(error: CallError) -> ClusterError {
    if error.status() == Some(404) { ClusterError::NoDriver } else { ClusterError::Call(error) }
}
