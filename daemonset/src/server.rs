//! The life of the agent: bind, serve, drain, end.

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use coffer_kubernetes::{CachedVersionKey, Kubernetes, PodEventSender};
use coffer_process::{Lifecycle, Phase, SignalError, TerminationSignals};
use coffer_proto::v1alpha1::csi_driver_provider_server::CsiDriverProviderServer;
use coffer_provider::class::ClassCache;
use coffer_provider::{MonotonicClock, NoPodReports, PodReporter, Ports, Provider, ReadMetrics};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::transport::Server;

use crate::admission::{Admission, CALL_WINDOW, CONNECTION_WINDOW};
use crate::config::AgentConfig;
use crate::health;
use crate::leases::NodeLeases;
use crate::metrics::AgentMetrics;
use crate::node_health::NodeHealth;
use crate::service::ProviderService;
use crate::socket::{BindError, DriverListener};
use crate::state_dir::StateDirError;
use crate::volumes::Volumes;

/// Time for mounts in progress after SIGTERM.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// Calls that the driver has cancelled before they were looked at, at most. With more of them the
/// driver's connection would end, with the mounts of all pods; by default that are 20.
const CANCELLED_CALLS: usize = 1_000;

/// Time for the answers of mounts that were ended to reach the driver.
const FINAL_ANSWERS_TIMEOUT: Duration = Duration::from_secs(1);

/// The agent cannot serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    #[error("cannot listen for the driver: {0}")]
    Bind(#[from] BindError),
    #[error(transparent)]
    State(#[from] StateDirError),
    #[error(transparent)]
    Signals(#[from] SignalError),
    #[error("cannot serve the driver: {0}")]
    Serve(#[from] tonic::transport::Error),
}

/// Serves until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// The socket cannot be served. Vault and kube-apiserver may be away and come later.
pub(crate) async fn serve(config: AgentConfig) -> Result<(), AgentError> {
    let lifecycle = Lifecycle::starting();
    let mut signals = TerminationSignals::new()?;

    let kubernetes = Arc::new(Kubernetes::default());
    let key = Arc::new(CachedVersionKey::new(config.key, Arc::clone(&kubernetes)));
    let metrics = Arc::new(AgentMetrics::new(config.metrics_series));
    let volumes = Arc::new(Volumes::default());
    let node = NodeHealth::default();
    let read_metrics = Arc::new(ReadMetrics::with_series(config.metrics_series));
    let registry = metrics.registry(&read_metrics, &key, &volumes, config.leases.is_some());
    let health = match config.health_address {
        Some(address) => serve_health(address, registry, lifecycle.subscribe(), node.clone()).await,
        None => None,
    };
    // before the socket: an agent that is about to end serves until it releases the directory
    let directory = match &config.leases {
        Some(leases) => leases.open().await?,
        None => None,
    };
    let listener = DriverListener::bind(&config.endpoint, node.clone())?;
    tracing::info!(endpoint = %config.endpoint.display(), vault = %config.settings.address, "serving");

    if let Some(policy) = &config.settings.policy {
        tokio::spawn(Arc::clone(policy).follow(Arc::clone(&read_metrics)));
    }
    let reporter: Arc<dyn PodReporter> = match &config.event_source {
        Some(host) => {
            let observer = Arc::clone(&metrics) as _;
            Arc::new(PodEventSender::start(Arc::clone(&kubernetes), host, observer))
        }
        None => Arc::new(NoPodReports),
    };
    let classes = Arc::new(ClassCache::new(config.settings.clone()));
    let provider = Arc::new(Provider::new(
        config.settings,
        Ports {
            minter: kubernetes,
            version_key: key,
            clock: Arc::new(MonotonicClock),
            metrics: read_metrics,
            reporter: Arc::clone(&reporter),
        },
    ));
    let leases = match (&config.leases, &directory) {
        (Some(config), Some(directory)) => {
            Some(NodeLeases::start(config, directory, &provider, &volumes, node))
        }
        _ => None,
    };
    // stored leases are read at start alone
    let freed = async {
        match &config.leases {
            Some(leases) if directory.is_none() => leases.until_free().await,
            _ => pending().await,
        }
    };
    let service = ProviderService {
        provider,
        classes,
        metrics: Arc::clone(&metrics),
        volumes,
        reporter,
        max_response_bytes: config.max_response_bytes,
        phase: lifecycle.subscribe(),
    };
    let stop = async {
        tokio::select! {
            () = signals.received() => {}
            () = freed => tracing::warn!("the state directory is free now: ending, to be started again with it"),
        }
    };
    serve_driver(listener, service, &lifecycle, stop).await?;
    // a driver that died leaves mounts behind whose answers nobody waits for; what is issued to
    // them is stored or revoked
    let _ = timeout(FINAL_ANSWERS_TIMEOUT, mounts_ended(&metrics)).await;
    if let Some(leases) = leases {
        leases.stop().await;
    }
    if let Some(health) = health {
        health.abort();
    }
    Ok(())
}

/// Serves the driver until `stop` is ready, then drains. Ends in [`Phase::Ending`].
async fn serve_driver(
    listener: DriverListener,
    service: ProviderService,
    lifecycle: &Lifecycle,
    stop: impl Future<Output = ()>,
) -> Result<(), AgentError> {
    // the service itself refuses what is too large, with a code that kubelet takes as final
    let service = CsiDriverProviderServer::new(service).max_encoding_message_size(usize::MAX);
    lifecycle.enter(Phase::Serving);
    let drain = async {
        stop.await;
        lifecycle.enter(Phase::Draining);
    };
    let server = Server::builder()
        .http2_max_pending_accept_reset_streams(Some(CANCELLED_CALLS))
        .initial_stream_window_size(CALL_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .layer(Admission::default())
        .add_service(service)
        .serve_with_incoming_shutdown(listener.connections(), drain);
    tokio::select! {
        ended = server => ended?,
        () = drain_timeout(lifecycle) => tracing::warn!("some connections did not end in time"),
    }
    lifecycle.enter(Phase::Ending);
    Ok(())
}

/// Waits until draining has lasted too long. Enters [`Phase::Ending`] before, so that mounts in
/// progress are answered.
async fn drain_timeout(lifecycle: &Lifecycle) {
    if lifecycle.subscribe().wait_for(|phase| *phase == Phase::Draining).await.is_ok() {
        sleep(DRAIN_TIMEOUT).await;
        lifecycle.enter(Phase::Ending);
    }
    sleep(FINAL_ANSWERS_TIMEOUT).await;
}

async fn mounts_ended(metrics: &AgentMetrics) {
    while metrics.in_progress.get() > 0 {
        sleep(Duration::from_millis(20)).await;
    }
}

/// Starts to serve health and metrics. A port in use is logged, and mounts are served all the same.
async fn serve_health(
    address: SocketAddr,
    registry: Registry,
    phase: watch::Receiver<Phase>,
    node: NodeHealth,
) -> Option<JoinHandle<()>> {
    match coffer_process::listen(address).await {
        Ok(listener) => Some(tokio::spawn(health::serve(listener, registry, phase, node))),
        Err(error) => {
            tracing::error!(%error, %address, "health and metrics are not served (-health-addr)");
            None
        }
    }
}
