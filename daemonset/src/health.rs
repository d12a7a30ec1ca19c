//! Health and metrics over HTTP.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use coffer_process::Phase;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct HealthState {
    registry: Arc<Registry>,
    phase: watch::Receiver<Phase>,
}

/// Serves `/health/live`, `/health/ready` and `/metrics` until the future is dropped.
///
/// Ready means that the socket is bound and the agent does not drain. Vault plays no part:
/// manifests made for HashiCorp's provider use this probe for liveness too, and a restart of the
/// agent does not repair Vault.
pub(crate) async fn serve(listener: TcpListener, registry: Registry, phase: watch::Receiver<Phase>) {
    let state = HealthState { registry: Arc::new(registry), phase };
    let router = Router::new()
        .route("/health/live", get(|| async { "alive\n" }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(state);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "health and metrics are not served any more");
    }
}

async fn ready(State(state): State<HealthState>) -> impl IntoResponse {
    match *state.phase.borrow() {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Phase::Serving => (StatusCode::OK, "ready\n"),
        Phase::Draining | Phase::Ending => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

async fn metrics(State(state): State<HealthState>) -> impl IntoResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &state.registry) {
        Ok(()) => (StatusCode::OK, [(CONTENT_TYPE, METRICS_TYPE)], text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, "text/plain")], String::new()),
    }
}
