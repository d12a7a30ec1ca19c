//! The process's life: connect, serve, drain, end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use coffer_kubernetes::{HeldKey, Kubernetes};
use coffer_provider::{MonotonicClock, Ports, Provider};
use kube::Client;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::authentication::Authentication;
use crate::authorization::Authorization;
use crate::certificate::{BadFiles, Certificate};
use crate::classes::Classes;
use crate::config::{Config, Vault};
use crate::handler::Handler;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::mint::Minter;
use crate::reading::Reading;
use crate::token_review::TokenReviews;
use crate::trust::{self, Trust};
use crate::{connections, discovery, openapi};

/// What requests in progress get on top of their own deadline, to be answered while draining.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    /// Not ready any more, so that kube-apiserver goes elsewhere; still answering.
    Draining,
}

/// Why the process cannot serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("there is no way to kube-apiserver: {0}")]
    Kubernetes(String),
    #[error("there is no serving certificate: {0}")]
    Certificate(#[from] BadFiles),
    #[error("cannot listen: {0}")]
    Listen(io::Error),
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
}

/// Serves until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// Whatever keeps the port from being served; nothing about Vault, which may come later.
pub(crate) async fn serve(config: Config) -> Result<(), ServeError> {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let mut signals = Signals::new()?;
    let (client, namespace) = connect().await?;
    let certificate = tokio::select! {
        first = Certificate::first(config.certificate, client.clone(), &namespace) => first?,
        () = signals.next() => return Ok(()),
    };
    let (phase, watched) = watch::channel(Phase::Serving);

    // tasks end with the set, and the set with this function
    let mut tasks = JoinSet::new();
    let trust = Arc::new(ArcSwap::from_pointee(Trust::default()));
    let classes = Arc::new(Classes::new(config.vault.providers.clone(), config.vault.settings.clone()));
    tasks.spawn({
        let (trust, client) = (Arc::clone(&trust), client.clone());
        async move { trust::follow(&trust, client).await }
    });
    tasks.spawn({
        let (classes, client) = (Arc::clone(&classes), client.clone());
        async move { classes.follow(client).await }
    });
    let tls = certificate.config();
    tasks.spawn(certificate.keep());

    let tokens = Arc::new(TokenReviews::new(client.clone()));
    let kubernetes = Arc::new(Kubernetes::with_client(client.clone(), namespace));
    let version_key = HeldKey::new(config.key, Arc::clone(&kubernetes));
    let (reading, metrics) = reading(config.vault, kubernetes, version_key, &tokens);
    let handler = Arc::new(Handler {
        discovery: discovery::Documents::new(),
        openapi: openapi::Documents::new(),
        authentication: Authentication::new(trust, tokens),
        authorization: Authorization::new(client),
        classes,
        reading: Arc::new(reading),
        limits: Limits::new(config.max_in_flight, config.max_in_flight_per_user),
        metrics,
        phase: watched,
        time: config.request_timeout,
    });
    let listener = coffer_process::listen(config.listen).await.map_err(ServeError::Listen)?;
    tracing::info!(address = %config.listen, "serving");
    let stop = async {
        signals.next().await;
        tracing::info!("draining");
        phase.send_replace(Phase::Draining);
        tokio::select! {
            () = sleep(config.shutdown_delay) => {}
            // asked twice, it ends at once
            () = signals.next() => {}
        }
    };
    connections::serve(listener, tls, handler, stop, config.request_timeout + FAREWELL).await;
    tracing::info!("ended");
    Ok(())
}

fn reading(
    vault: Vault,
    kubernetes: Arc<Kubernetes>,
    version_key: HeldKey,
    tokens: &Arc<TokenReviews>,
) -> (Reading, Metrics) {
    let Vault { settings, allowed, default_audience, .. } = vault;
    let read_metrics = Arc::new(coffer_provider::ReadMetrics::default());
    let metrics = Metrics::new(&read_metrics);
    let minter = Minter { kubernetes, default_audience, reviews: Arc::clone(tokens) };
    let ports = Ports {
        minter: Arc::new(minter),
        version_key: Arc::new(version_key),
        clock: Arc::new(MonotonicClock),
        metrics: read_metrics,
    };
    let provider = Provider::new(settings.clone(), ports);
    (Reading { provider, settings, allowed }, metrics)
}

/// The client, and the namespace that this process runs in.
async fn connect() -> Result<(Client, String), ServeError> {
    let reason = |error: &dyn std::error::Error| ServeError::Kubernetes(error.to_string());
    let mut config = kube::Config::infer().await.map_err(|error| reason(&error))?;
    config.connect_timeout = Some(Duration::from_secs(3));
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config).map_err(|error| reason(&error))?;
    Ok((client, namespace))
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, ServeError> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(ServeError::Signals)?,
            interrupt: signal(SignalKind::interrupt()).map_err(ServeError::Signals)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
