//! The classes of a cluster, by the user's kubeconfig.

use anyhow::{Context, Result};
use coffer_provider::root_cause;
use kube::{Client, Config};
use serde::Deserialize;
use serde_json::Value;

use super::source::Source;

const API: &str = "/apis/secrets-store.csi.x-k8s.io/v1";

/// Classes that are asked for at once.
const PAGE: usize = 500;

/// A page of the list.
#[derive(Deserialize)]
struct Page {
    metadata: Metadata,
    items: Vec<Value>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default, rename = "continue")]
    token: String,
}

/// The classes of that namespace, of the kubeconfig's, or of all.
pub(crate) async fn classes(namespace: Option<&str>, all: bool) -> Result<Source> {
    let config = Config::infer().await.map_err(|error| anyhow::anyhow!(root_cause(&error)));
    let config = config.context("there is no kubeconfig to reach the cluster by")?;
    let namespace = namespace.unwrap_or(&config.default_namespace);
    let path = if all { String::new() } else { format!("/namespaces/{namespace}") };
    let path = format!("{API}{path}/secretproviderclasses");
    let client = Client::try_from(config)?;
    let mut documents = Vec::new();
    let mut token = String::new();
    loop {
        let request = http::Request::get(format!("{path}?limit={PAGE}&continue={token}")).body(Vec::new())?;
        let page =
            client.request::<Page>(request).await.map_err(|error| anyhow::anyhow!(explained(&error)))?;
        documents.extend(page.items.into_iter().map(Into::into));
        token = page.metadata.token;
        if token.is_empty() {
            return Ok(Source { file: None, lines: Vec::new(), documents });
        }
    }
}

fn explained(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 404 => {
            "the cluster has no SecretProviderClasses: the Secrets Store CSI driver is not installed"
                .to_owned()
        }
        kube::Error::Api(status) => format!("kube-apiserver answered {} ({})", status.code, status.message),
        error => format!("kube-apiserver cannot be reached: {}", root_cause(error)),
    }
}
