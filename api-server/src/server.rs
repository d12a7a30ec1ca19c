//! The life of the API server: connect, serve, drain, end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use coffer_kubernetes::{CachedVersionKey, ConnectError, KubeConnection, Kubernetes};
use coffer_process::{Lifecycle, Phase, SignalError, TerminationSignals};
use coffer_provider::{MonotonicClock, NoPodReports, Ports, Provider, ReadMetrics};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::authentication::Authentication;
use crate::authorization::Authorization;
use crate::class_reader::ClassReader;
use crate::class_source::ClassSource;
use crate::class_watch::ClassWatch;
use crate::config::{ApiServerConfig, VaultConfig};
use crate::connections;
use crate::discovery::DiscoveryDocuments;
use crate::handler::Handler;
use crate::metrics::ApiMetrics;
use crate::openapi::OpenApiDocuments;
use crate::request_limits::RequestLimits;
use crate::serving_certificate::{CertificateFileError, ServingCertificate};
use crate::token_minter::AudienceMinter;
use crate::token_review::TokenReviews;
use crate::trust::{self, Trust};

/// Time that draining gets on top of the time limit of a request.
const DRAIN_RESERVE: Duration = Duration::from_secs(2);

/// The API server cannot serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiServerError {
    #[error(transparent)]
    Kubernetes(#[from] ConnectError),
    #[error("there is no serving certificate: {0}")]
    Certificate(#[from] CertificateFileError),
    #[error("cannot listen: {0}")]
    Listen(#[source] io::Error),
    #[error(transparent)]
    Signals(#[from] SignalError),
}

/// Serves until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// The port cannot be served. Vault may be away and come later.
pub(crate) async fn serve(config: ApiServerConfig) -> Result<(), ApiServerError> {
    let mut signals = TerminationSignals::new()?;
    // watches use this client too, and may be silent for long
    let connection = KubeConnection::open(None).await?;
    let certificate = tokio::select! {
        first = ServingCertificate::first(config.certificate, &connection) => first?,
        () = signals.received() => return Ok(()),
    };
    let lifecycle = Lifecycle::starting();
    let tls = certificate.config();
    let trust = Arc::new(ArcSwap::from_pointee(Trust::default()));
    let classes = Arc::new(ClassWatch::new(config.vault.providers.clone(), config.vault.settings.clone()));
    // the tasks end when this function does
    let _tasks = follow(certificate, &trust, &classes, &connection);

    let connection_client = connection.client.clone();
    let kubernetes = Arc::new(Kubernetes::from(connection));
    let tokens = Arc::new(TokenReviews::new(Arc::clone(&kubernetes)));
    let version_key = CachedVersionKey::new(config.key, Arc::clone(&kubernetes));
    let (reader, metrics) =
        class_reader(config.vault, config.metrics_series, Arc::clone(&kubernetes), version_key, &tokens);
    let handler = Arc::new(Handler {
        discovery: DiscoveryDocuments::new(),
        openapi: OpenApiDocuments::new(),
        authentication: Authentication::new(trust, tokens),
        authorization: Authorization::new(kubernetes),
        classes: ClassSource::new(classes, connection_client),
        reader: Arc::new(reader),
        limits: RequestLimits::new(config.max_in_flight, config.max_in_flight_per_user),
        metrics,
        phase: lifecycle.subscribe(),
        request_timeout: config.request_timeout,
    });
    let listener = coffer_process::listen(config.listen).await.map_err(ApiServerError::Listen)?;
    tracing::info!(address = %config.listen, "serving");
    lifecycle.enter(Phase::Serving);
    let stop = async {
        signals.received().await;
        lifecycle.enter(Phase::Draining);
        tokio::select! {
            () = sleep(config.shutdown_delay) => {}
            // a second signal ends the delay
            () = signals.received() => {}
        }
    };
    connections::serve(listener, tls, handler, stop, config.request_timeout + DRAIN_RESERVE).await;
    Ok(())
}

/// Starts the tasks that follow certificate, ConfigMap and classes. They end when the returned set
/// is dropped.
fn follow(
    certificate: ServingCertificate,
    trust: &Arc<ArcSwap<Trust>>,
    classes: &Arc<ClassWatch>,
    connection: &KubeConnection,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let (trust, client) = (Arc::clone(trust), connection.client.clone());
    tasks.spawn(async move { trust::follow(&trust, client).await });
    let (classes, client) = (Arc::clone(classes), connection.client.clone());
    tasks.spawn(async move { classes.follow(client).await });
    tasks.spawn(certificate.follow());
    tasks
}

fn class_reader(
    vault: VaultConfig,
    metrics_series: usize,
    kubernetes: Arc<Kubernetes>,
    version_key: CachedVersionKey,
    tokens: &Arc<TokenReviews>,
) -> (ClassReader, ApiMetrics) {
    let VaultConfig { settings, allowed, default_audience, .. } = vault;
    let read_metrics = Arc::new(ReadMetrics::with_series(metrics_series));
    let metrics = ApiMetrics::new(Arc::clone(&read_metrics));
    if let Some(policy) = &settings.policy {
        tokio::spawn(Arc::clone(policy).follow(Arc::clone(&read_metrics)));
    }
    let minter = AudienceMinter { kubernetes, default_audience, reviews: Arc::clone(tokens) };
    let ports = Ports {
        minter: Arc::new(minter),
        version_key: Arc::new(version_key),
        clock: Arc::new(MonotonicClock),
        metrics: read_metrics,
        reporter: Arc::new(NoPodReports),
    };
    (ClassReader { provider: Provider::new(settings, ports), allowed }, metrics)
}
