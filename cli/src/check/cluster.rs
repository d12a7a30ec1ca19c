//! The classes of a cluster.

use coffer_kubernetes::KubeConnection;
use thiserror::Error;

use super::source::ManifestSource;
use crate::object_list::{ListError, list};

/// Why the classes cannot be listed.
#[derive(Debug, Error)]
pub(crate) enum ClusterError {
    /// The cluster does not know the resource.
    #[error("the cluster has no SecretProviderClasses: the Secrets Store CSI driver is not installed")]
    NoDriver,
    /// The list cannot be had.
    #[error(transparent)]
    List(ListError),
}

/// Returns the classes of a namespace, or of all namespaces.
pub(crate) async fn classes(
    connection: &KubeConnection,
    namespace: Option<&str>,
) -> Result<ManifestSource, ClusterError> {
    let api = "/apis/secrets-store.csi.x-k8s.io/v1";
    let objects = list(connection, api, "secretproviderclasses", namespace).await.map_err(refusal)?;
    let documents = objects.into_iter().map(Into::into).collect();
    Ok(ManifestSource { file: None, lines: Vec::new(), documents })
}

fn refusal(error: ListError) -> ClusterError {
    match error {
        ListError::Call(error) if error.status() == Some(404) => ClusterError::NoDriver,
        error => ClusterError::List(error),
    }
}
