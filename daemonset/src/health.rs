//! Health and metrics over HTTP.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::server::Phase;

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Served {
    registry: Arc<Registry>,
    phase: watch::Receiver<Phase>,
}

/// Serves `/health/live`, `/health/ready` and `/metrics` until it is dropped.
///
/// Ready says that the socket is bound and not draining, and nothing of Vault: manifests made for the incumbent use
/// it for liveness too, and a restart mends no Vault.
pub(crate) async fn serve(listener: TcpListener, registry: Registry, phase: watch::Receiver<Phase>) {
    let served = Served { registry: Arc::new(registry), phase };
    let router = Router::new()
        .route("/health/live", get(|| async { "alive\n" }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(served);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!("health and metrics are not served any more: {error}");
    }
}

async fn ready(State(served): State<Served>) -> impl IntoResponse {
    match *served.phase.borrow() {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Phase::Serving => (StatusCode::OK, "ready\n"),
        Phase::Draining | Phase::Ending => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

async fn metrics(State(served): State<Served>) -> impl IntoResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &served.registry) {
        Ok(()) => (StatusCode::OK, [(CONTENT_TYPE, METRICS_TYPE)], text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, "text/plain")], String::new()),
    }
}
