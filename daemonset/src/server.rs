//! The process's life: bind, serve, drain, end.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use coffer_kubernetes::{HeldKey, Kubernetes};
use coffer_proto::v1alpha1::csi_driver_provider_server::CsiDriverProviderServer;
use coffer_provider::class::ClassCache;
use coffer_provider::{MonotonicClock, Ports, Provider};
use prometheus_client::registry::Registry;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::transport::Server;

use crate::config::Config;
use crate::health;
use crate::leases::NodeLeases;
use crate::metrics::Metrics;
use crate::service::Service;
use crate::socket::{BindError, Listener};
use crate::state_dir::StateDirError;

/// How long mounts in progress may go on after SIGTERM.
const DRAIN: Duration = Duration::from_secs(8);

/// How long the answers to those that did not end may take to leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Serving,
    /// No new connections; mounts in progress go on.
    Draining,
    /// Mounts in progress are answered now, with an error.
    Ending,
}

/// Why the process cannot serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("cannot listen for the driver: {0}")]
    Bind(#[from] BindError),
    #[error(transparent)]
    State(#[from] StateDirError),
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    #[error("cannot serve the driver: {0}")]
    Serve(#[from] tonic::transport::Error),
}

/// Serves until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// Whatever keeps the socket from being served; nothing about Vault or kube-apiserver, which may come later.
pub(crate) async fn serve(config: Config) -> Result<(), ServeError> {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let (phase, _) = watch::channel(Phase::Starting);
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;

    let kubernetes = Arc::new(Kubernetes::default());
    let key = Arc::new(HeldKey::new(config.key, Arc::clone(&kubernetes)));
    let metrics = Arc::new(Metrics::default());
    let read_metrics = Arc::new(coffer_provider::ReadMetrics::default());
    let registry = metrics.registry(&read_metrics, &key, config.leases.is_some());
    let health = match config.health_address {
        Some(address) => serve_health(address, registry, phase.subscribe()).await,
        None => None,
    };
    // before the socket: an agent that is on its way out serves until it has let go of the directory
    let directory = match &config.leases {
        Some(leases) => leases.open().await?,
        None => None,
    };
    let listener = Listener::bind(&config.endpoint)?;
    tracing::info!(endpoint = %config.endpoint.display(), vault = %config.settings.address, "serving");

    let classes = Arc::new(ClassCache::new(config.settings.clone()));
    let provider = Arc::new(Provider::new(
        config.settings,
        Ports {
            minter: kubernetes,
            version_key: key,
            clock: Arc::new(MonotonicClock),
            metrics: read_metrics,
        },
    ));
    let leases = match (&config.leases, &directory) {
        (Some(config), Some(directory)) => Some(NodeLeases::start(config, directory, &provider)),
        _ => None,
    };
    // only a start takes up what is stored
    let freed = async {
        match &config.leases {
            Some(leases) if directory.is_none() => leases.until_free().await,
            _ => pending().await,
        }
    };
    let service = CsiDriverProviderServer::new(Service {
        provider,
        classes,
        metrics: Arc::clone(&metrics),
        max_response_bytes: config.max_response_bytes,
        phase: phase.subscribe(),
    })
    // the service itself answers what is too large, with a code that kubelet takes as final
    .max_encoding_message_size(usize::MAX);
    phase.send_replace(Phase::Serving);

    let drain = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = freed => tracing::warn!("the state directory is free now: ending, to be started again with it"),
        }
        tracing::info!("draining");
        phase.send_replace(Phase::Draining);
    };
    let mut ending = phase.subscribe();
    let server =
        Server::builder().add_service(service).serve_with_incoming_shutdown(listener.connections(), drain);
    tokio::select! {
        ended = server => ended?,
        () = last_call(&mut ending, &phase) => tracing::warn!("some connections did not end in time"),
    }
    // a driver that died leaves mounts behind whose answers nobody waits for; what is issued to them is stored or revoked
    phase.send_replace(Phase::Ending);
    let _ = timeout(FAREWELL, mounts_ended(&metrics)).await;
    if let Some(leases) = leases {
        leases.stop().await;
    }
    if let Some(health) = health {
        health.abort();
    }
    tracing::info!("ended");
    Ok(())
}

async fn mounts_ended(metrics: &Metrics) {
    while metrics.in_progress.get() > 0 {
        sleep(Duration::from_millis(20)).await;
    }
}

/// A port that is taken is said, and mounts are served all the same.
async fn serve_health(
    address: SocketAddr,
    registry: Registry,
    phase: watch::Receiver<Phase>,
) -> Option<JoinHandle<()>> {
    match coffer_process::listen(address).await {
        Ok(listener) => Some(tokio::spawn(health::serve(listener, registry, phase))),
        Err(error) => {
            tracing::error!("health and metrics are not served at {address} (-health-addr): {error}");
            None
        }
    }
}

/// Ends by itself some time after draining began, having told the mounts in progress to answer.
async fn last_call(ending: &mut watch::Receiver<Phase>, phase: &watch::Sender<Phase>) {
    let draining = ending.wait_for(|phase| *phase == Phase::Draining).await.is_ok();
    if draining {
        sleep(DRAIN).await;
        phase.send_replace(Phase::Ending);
    }
    sleep(FAREWELL).await;
}
