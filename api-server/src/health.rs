//! Health. Ready says that there is a certificate and that the front proxy is known; nothing of Vault, which a restart
//! does not mend.

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::respond::text;
use crate::server::Phase;

/// `/livez` and `/healthz`
pub(crate) fn alive() -> Response<Bytes> {
    text(StatusCode::OK, "ok")
}

/// `/readyz`: it is asked over TLS, so there is a certificate.
pub(crate) fn ready(phase: Phase, knows_front_proxy: bool) -> Response<Bytes> {
    let problem = match phase {
        Phase::Serving if knows_front_proxy => return text(StatusCode::OK, "ok"),
        Phase::Serving => {
            "ConfigMap kube-system/extension-apiserver-authentication has not been read, or names no front proxy"
        }
        Phase::Draining => "draining",
    };
    text(StatusCode::SERVICE_UNAVAILABLE, problem)
}
