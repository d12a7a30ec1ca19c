//! What kube-apiserver lends to the read path: tokens of service accounts, the key of the versions, and when a pod is gone.
//!
//! It is connected to at first use, since many reads need nothing of it.

mod held_key;
mod key_secret;
mod own_pod;
mod pods;
mod token_request;

use std::future::Future;
use std::time::Duration;

use coffer_provider::root_cause;
use kube::{Client, Config};
use tokio::sync::OnceCell;
use tokio::time::timeout;

pub use held_key::{HeldKey, KeyPlace};
pub use pods::PodWatch;

/// No call to kube-apiserver takes longer.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The connection to kube-apiserver.
#[derive(Default)]
pub struct Kubernetes {
    connected: OnceCell<Connected>,
}

struct Connected {
    client: Client,
    /// The namespace that this process runs in.
    namespace: String,
}

/// A failed call: what kube-apiserver or the network said.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no configuration to connect by.
    #[error("no connection to kube-apiserver: {0}")]
    NotConnected(String),
    /// No answer in time.
    #[error("kube-apiserver did not answer within {} seconds", CALL_TIMEOUT.as_secs())]
    TimedOut,
    /// An answer that says no.
    #[error("kube-apiserver answered {code} ({message})")]
    Refused {
        /// The HTTP status.
        code: u16,
        /// kube-apiserver's own words.
        message: String,
    },
    /// No answer at all.
    #[error("kube-apiserver cannot be reached: {0}")]
    Unreachable(String),
}

impl CallError {
    fn is_code(&self, expected: u16) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == expected)
    }
}

impl Kubernetes {
    /// A connection that is there already; `namespace` is the one that this process runs in.
    #[must_use]
    pub fn with_client(client: Client, namespace: String) -> Self {
        Self { connected: OnceCell::new_with(Some(Connected { client, namespace })) }
    }

    async fn connected(&self) -> Result<&Connected, CallError> {
        self.connected.get_or_try_init(connect).await
    }
}

async fn connect() -> Result<Connected, CallError> {
    let config = config(CALL_TIMEOUT).await?;
    let namespace = config.default_namespace.clone();
    Ok(Connected { client: client(config)?, namespace })
}

/// How to connect, and how long to hear nothing before the connection is taken for dead.
async fn config(silence: Duration) -> Result<Config, CallError> {
    let mut config = Config::infer().await.map_err(|error| {
        let cause = root_cause(&error);
        CallError::NotConnected(format!(
            "neither a pod's service account nor KUBECONFIG leads there: {cause}"
        ))
    })?;
    config.connect_timeout = Some(Duration::from_secs(3));
    config.read_timeout = Some(silence);
    Ok(config)
}

fn client(config: Config) -> Result<Client, CallError> {
    Client::try_from(config).map_err(|error| CallError::NotConnected(root_cause(&error)))
}

/// Bounds a call and keeps of its error what can be shown.
async fn call<T>(work: impl Future<Output = Result<T, kube::Error>>) -> Result<T, CallError> {
    match timeout(CALL_TIMEOUT, work).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => {
            Err(CallError::Refused { code: status.code, message: status.message.clone() })
        }
        Ok(Err(error)) => Err(CallError::Unreachable(root_cause(&error))),
        Err(_) => Err(CallError::TimedOut),
    }
}
