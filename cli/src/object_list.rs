//! Lists of objects of a cluster, page by page.

use coffer_kubernetes::{CALL_TIMEOUT, CallError, KubeConnection, call};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// Number of objects that one request asks for.
const PAGE_SIZE: usize = 500;

/// Why objects cannot be listed.
#[derive(Debug, Error)]
pub(crate) enum ListError {
    /// The namespace cannot be part of a URL.
    #[error(transparent)]
    BadNamespace(#[from] http::Error),
    /// kube-apiserver refused the request, or did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// A page of a list.
#[derive(Deserialize)]
struct ObjectPage {
    metadata: PageMetadata,
    items: Vec<Value>,
}

#[derive(Deserialize)]
struct PageMetadata {
    /// Where the next page begins; empty on the last page.
    #[serde(default, rename = "continue")]
    next: String,
}

/// Returns the objects of a namespace, or of all namespaces. `api` is the path of the API, such as
/// `/apis/apps/v1`.
pub(crate) async fn list(
    connection: &KubeConnection,
    api: &str,
    resource: &str,
    namespace: Option<&str>,
) -> Result<Vec<Value>, ListError> {
    let path = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
    let path = format!("{api}{path}/{resource}");
    let mut objects = Vec::new();
    let mut next = String::new();
    loop {
        let uri = format!("{path}?limit={PAGE_SIZE}&continue={next}");
        let request = http::Request::get(uri).body(Vec::new())?;
        let page = call(CALL_TIMEOUT, connection.client.request::<ObjectPage>(request)).await?;
        objects.extend(page.items);
        next = page.metadata.next;
        if next.is_empty() {
            return Ok(objects);
        }
    }
}
