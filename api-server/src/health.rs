//! Health probes. Ready means that there is a serving certificate and a known front proxy; Vault
//! plays no part, since a restart of this server does not repair Vault.

use bytes::Bytes;
use coffer_process::Phase;
use http::{Response, StatusCode};

use crate::respond::text;

/// Answers `/livez` and `/healthz`.
pub(crate) fn alive() -> Response<Bytes> {
    text(StatusCode::OK, "ok")
}

/// Answers `/readyz`. The request came over TLS, so there is a serving certificate.
pub(crate) fn ready(phase: Phase, knows_front_proxy: bool) -> Response<Bytes> {
    let problem = match phase {
        Phase::Serving if knows_front_proxy => return text(StatusCode::OK, "ok"),
        Phase::Serving => {
            "ConfigMap kube-system/extension-apiserver-authentication has not been read, or names no front proxy"
        }
        Phase::Starting => "starting",
        Phase::Draining | Phase::Ending => "draining",
    };
    text(StatusCode::SERVICE_UNAVAILABLE, problem)
}
