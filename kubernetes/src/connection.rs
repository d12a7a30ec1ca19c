//! The connection to kube-apiserver, and the one way that calls go through it.

use std::future::Future;
use std::time::Duration;

use kube::{Client, Config};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::CALL_TIMEOUT;
use crate::error::{CallError, ConnectError};

/// Time limit for a TCP connection to kube-apiserver.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A client for kube-apiserver with the service account of this process. It connects at first use,
/// since many reads make no call.
#[derive(Default)]
pub struct Kubernetes {
    connection: OnceCell<KubeConnection>,
}

/// A client for kube-apiserver.
#[derive(Clone)]
pub struct KubeConnection {
    /// The client.
    pub client: Client,
    /// The namespace that this process runs in.
    pub namespace: String,
}

impl From<KubeConnection> for Kubernetes {
    fn from(connection: KubeConnection) -> Self {
        Self { connection: OnceCell::new_with(Some(connection)) }
    }
}

impl Kubernetes {
    pub(crate) async fn connection(&self) -> Result<&KubeConnection, ConnectError> {
        self.connection.get_or_try_init(|| KubeConnection::open(Some(CALL_TIMEOUT))).await
    }
}

impl KubeConnection {
    /// Makes a client from the pod's service account or from `KUBECONFIG`. It connects at the first
    /// call.
    ///
    /// A connection on which nothing is received for `read_timeout` is closed; `None` is for
    /// clients whose watches may be silent for long.
    ///
    /// # Errors
    /// There is no configuration, or it cannot be used.
    pub async fn open(read_timeout: Option<Duration>) -> Result<Self, ConnectError> {
        Self::with_config(infer_config(read_timeout).await?)
    }

    pub(crate) fn with_config(config: Config) -> Result<Self, ConnectError> {
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config).map_err(|error| ConnectError::BadConfig(Box::new(error)))?;
        Ok(Self { client, namespace })
    }
}

pub(crate) async fn infer_config(read_timeout: Option<Duration>) -> Result<Config, ConnectError> {
    let mut config = Config::infer().await.map_err(ConnectError::NoConfig)?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    if let Some(read_timeout) = read_timeout {
        config.read_timeout = Some(read_timeout);
    }
    Ok(config)
}

/// Waits for a call to kube-apiserver, for at most `time_limit`.
///
/// # Errors
/// Says how the call failed.
pub async fn call<T>(
    time_limit: Duration,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, CallError> {
    match timeout(time_limit, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(CallError::TimedOut(time_limit)),
    }
}
