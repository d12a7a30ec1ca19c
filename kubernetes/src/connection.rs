//! The connection to kube-apiserver, and the one way that calls go through it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use coffer_connect::{Connector, Dialer, HttpClient, HttpClientSettings, SystemResolver, TlsSettings};
use kube::client::retry::RetryPolicy;
use kube::client::{ClientBuilder, ConfigExt};
use kube::{Client, Config};
use rustls::pki_types::ServerName;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tower::retry::RetryLayer;
use tower::util::option_layer;

use crate::error::{CallError, ConnectError};
use crate::http_service::KubeHttp;
use crate::kubeconfig::{ClusterAccess, cluster_access};
use crate::{AuthFault, CALL_TIMEOUT, KubeconfigChoice};

/// Time limit for a TCP connection to kube-apiserver.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// When a connection counts as dead: so that a call can be made again within [`CALL_TIMEOUT`].
const PING_INTERVAL: Duration = Duration::from_secs(3);
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// Idle connections that are kept, and for how long.
const IDLE_CONNECTIONS: usize = 4;
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

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
    /// Makes a client from `KUBECONFIG` or from the pod's service account. It connects at the first
    /// call.
    ///
    /// An answer ends with an error if nothing of it is received for `read_timeout`; `None` is for
    /// clients whose watches may be silent for long.
    ///
    /// # Errors
    /// There is no configuration, or it cannot be used.
    pub async fn open(read_timeout: Option<Duration>) -> Result<Self, ConnectError> {
        Self::open_chosen(&KubeconfigChoice::default(), read_timeout).await
    }

    /// Makes a client as [`Self::open`] does, from the kubeconfig and the context that a user chose.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_chosen(
        choice: &KubeconfigChoice,
        read_timeout: Option<Duration>,
    ) -> Result<Self, ConnectError> {
        Self::with_access(access(choice, read_timeout).await?)
    }

    pub(crate) fn with_access(access: ClusterAccess) -> Result<Self, ConnectError> {
        let client = client(&access)?;
        Ok(Self { client, namespace: access.config.default_namespace })
    }
}

/// Returns the client of a configuration: as kube makes it, over connections of our own.
fn client(access: &ClusterAccess) -> Result<Client, ConnectError> {
    let config = &access.config;
    let bad = |error| match error {
        kube::Error::Auth(error) => AuthFault::of(error, Some(&config.auth_info)).into(),
        error => ConnectError::BadConfig(Box::new(error)),
    };
    let retries = config.default_retry.then(|| RetryLayer::new(RetryPolicy::server_retry()));
    let service = ClientBuilder::new(http(access)?, config.default_namespace.clone())
        .with_layer(&config.extra_headers_layer().map_err(bad)?)
        .with_layer(&option_layer(config.auth_layer().map_err(bad)?))
        .with_layer(&option_layer(retries))
        .with_layer(&config.base_uri_layer());
    Ok(service.build())
}

fn http(access: &ClusterAccess) -> Result<KubeHttp, ConnectError> {
    let ClusterAccess { config, proxies } = access;
    let time_limit = config.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
    let is_https = config.cluster_url.scheme_str() == Some("https");
    let tls = if is_https || proxies.speak_tls() { Some(tls(config)?) } else { None };
    let dialer = Dialer::tcp(Arc::new(SystemResolver), time_limit);
    let settings = HttpClientSettings {
        max_idle: IDLE_CONNECTIONS,
        idle_timeout: IDLE_TIMEOUT,
        ping_interval: PING_INTERVAL,
        ping_timeout: PING_TIMEOUT,
    };
    let client =
        HttpClient::new(Connector::new(dialer, Some(Arc::new(proxies.clone())), tls, time_limit), settings);
    Ok(KubeHttp::new(client, config.read_timeout))
}

fn tls(config: &Config) -> Result<TlsSettings, ConnectError> {
    let settings = config.rustls_client_config().map_err(|error| ConnectError::BadConfig(Box::new(error)))?;
    let name = config.tls_server_name.clone().map(|name| {
        ServerName::try_from(name.clone()).map_err(|source| ConnectError::ServerName { name, source })
    });
    Ok(TlsSettings::new(settings, name.transpose()?))
}

/// Finds out how kube-apiserver is reached, as [`KubeConnection::open_chosen`] does.
pub(crate) async fn access(
    choice: &KubeconfigChoice,
    read_timeout: Option<Duration>,
) -> Result<ClusterAccess, ConnectError> {
    let mut access = cluster_access(choice).await?;
    access.config.connect_timeout = Some(CONNECT_TIMEOUT);
    access.config.read_timeout = read_timeout.or(access.config.read_timeout);
    Ok(access)
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
