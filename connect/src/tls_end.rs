//! Notes that a server ended TLS after the handshake, as TLS 1.3 refuses a client certificate. HTTP
//! tells a request only that its connection was closed.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::TlsFailure;

/// The last time that a server ended TLS on a connection of one connector. Clones are one note.
#[derive(Clone, Default)]
pub(crate) struct TlsEnd {
    last: Arc<Mutex<Option<(Instant, TlsFailure)>>>,
}

impl TlsEnd {
    /// Notes an error of a connection, if the server ended TLS by it.
    pub(crate) fn note(&self, error: &io::Error) {
        if let Some(failure) = TlsFailure::find_in(error) {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), failure));
        }
    }

    /// Returns why a server ended TLS at this time or later, if one did.
    pub(crate) fn since(&self, time: Instant) -> Option<TlsFailure> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(ended, _)| *ended >= time).map(|(_, failure)| failure.clone())
    }
}
