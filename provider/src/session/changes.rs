//! Tracks whether a session has changes that are not stored yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A flag for changes since the session was last stored. A change wakes the lease manager.
pub(crate) struct Changes {
    pending: AtomicBool,
    /// Whether a change must be stored before the session is used: a new token.
    urgent: AtomicBool,
    wake: Arc<Notify>,
}

impl Changes {
    /// Returns a flag without changes. `wake` wakes the lease manager.
    pub(super) fn new(wake: Arc<Notify>) -> Self {
        Self { pending: AtomicBool::new(false), urgent: AtomicBool::new(false), wake }
    }

    /// Notes a change.
    pub(crate) fn note(&self) {
        self.pending.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Notes a change that must be stored before the session is used.
    pub(crate) fn note_urgent(&self) {
        self.urgent.store(true, Ordering::Relaxed);
        self.note();
    }

    /// Returns whether a change must be stored before the session is used.
    pub(crate) fn are_urgent(&self) -> bool {
        self.urgent.load(Ordering::Relaxed)
    }

    /// Returns whether a change is not stored yet.
    pub(crate) fn are_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }

    /// Notes that all changes are stored.
    pub(crate) fn clear(&self) {
        self.pending.store(false, Ordering::Relaxed);
        self.urgent.store(false, Ordering::Relaxed);
    }
}
