//! What of a session is not stored yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Whether a session changed since it was stored. A change wakes the lease manager.
pub(crate) struct Changes {
    pending: AtomicBool,
    wake: Arc<Notify>,
}

impl Changes {
    /// Returns no changes yet; `wake` is the lease manager's.
    pub(super) fn new(wake: Arc<Notify>) -> Self {
        Self { pending: AtomicBool::new(false), wake }
    }

    /// Notes a change.
    pub(crate) fn note(&self) {
        self.pending.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Returns whether there is a change that is not stored.
    pub(crate) fn are_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }

    /// Notes that every change is stored.
    pub(crate) fn clear(&self) {
        self.pending.store(false, Ordering::Relaxed);
    }
}
