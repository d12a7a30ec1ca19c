//! What is known of a connection: whether it answered before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Extensions;
use hyper_util::client::legacy::connect::CaptureConnection;

/// What is known of a connection. All clones are of one connection.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionUse {
    answered: Arc<AtomicBool>,
    is_http2: bool,
}

impl ConnectionUse {
    /// Returns the use of a connection that has just been made.
    pub(crate) fn new(is_http2: bool) -> Self {
        Self { answered: Arc::default(), is_http2 }
    }

    /// Returns the use of the connection that a request was given last; none if it has none yet.
    pub(crate) fn of(captured: &CaptureConnection) -> Option<Self> {
        let mut extras = Extensions::new();
        captured.connection_metadata().as_ref()?.get_extras(&mut extras);
        extras.remove()
    }

    /// Returns whether a request was answered over the connection: it was kept for this one.
    pub(crate) fn is_kept(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Notes that a request was answered over the connection.
    pub(crate) fn note_answer(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Returns whether the connection speaks HTTP/2.
    pub(crate) fn is_http2(&self) -> bool {
        self.is_http2
    }
}
