//! The memory for answers that are held between reads, over all sessions.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Secret;

/// Bytes for what was issued, and for what was merely read, which never takes the room of the first.
const ISSUED_BYTES: usize = 12 << 20;
const READ_BYTES: usize = 4 << 20;

/// What a held answer takes beside its body, in bytes.
const OVERHEAD: usize = 1024;

/// The room that there is.
#[derive(Clone)]
pub(super) struct Room {
    issued: Arc<Semaphore>,
    read: Arc<Semaphore>,
}

/// A share of the room, given back when it is dropped.
pub(super) type Share = OwnedSemaphorePermit;

impl Room {
    pub(super) fn new() -> Self {
        Self { issued: Arc::new(Semaphore::new(ISSUED_BYTES)), read: Arc::new(Semaphore::new(READ_BYTES)) }
    }

    /// A share for an answer that Vault issued; none where there is no room left.
    pub(super) fn for_issued(&self, body: &Secret) -> Option<Share> {
        share(&self.issued, body)
    }

    /// A share for an answer that is merely not read again for a while.
    pub(super) fn for_read(&self, body: &Secret) -> Option<Share> {
        share(&self.read, body)
    }
}

fn share(room: &Arc<Semaphore>, body: &Secret) -> Option<Share> {
    let bytes = u32::try_from(body.len() + OVERHEAD).unwrap_or(u32::MAX);
    Arc::clone(room).try_acquire_many_owned(bytes).ok()
}
