//! TLS: which certificates are accepted, and why a handshake failed.

use std::io;

/// Why a TLS handshake failed.
#[derive(Debug, thiserror::Error)]
#[error("TLS: {source}")]
pub struct TlsFailure {
    source: io::Error,
}

impl TlsFailure {
    /// Returns the failure of a handshake. `error` is that of tokio-rustls, which holds a
    /// [`rustls::Error`] or an error of the connection.
    pub(crate) fn of_handshake(error: io::Error) -> Self {
        Self { source: error }
    }
}
