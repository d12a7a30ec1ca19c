//! Byte budgets for the answers that sessions hold between reads.

use std::sync::Arc;

use coffer_vault::Secret;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes for issued answers, for all sessions together.
const ISSUED_BYTES: usize = 12 << 20;

/// Bytes for cached reads, for all sessions together. Cached reads never take bytes from issued
/// answers.
const READ_BYTES: usize = 4 << 20;

/// Memory of an answer besides the body, in bytes.
const OVERHEAD: usize = 1024;

/// A byte budget, shared by all sessions.
#[derive(Clone)]
pub(crate) struct ByteBudget(Arc<Semaphore>);

/// The bytes of one answer, which return to the budget when dropped.
pub(crate) type ReservedBytes = OwnedSemaphorePermit;

impl ByteBudget {
    /// Returns the budget for issued answers.
    pub(super) fn for_issued() -> Self {
        Self(Arc::new(Semaphore::new(ISSUED_BYTES)))
    }

    /// Returns the budget for cached reads.
    pub(super) fn for_reads() -> Self {
        Self(Arc::new(Semaphore::new(READ_BYTES)))
    }

    /// Takes the bytes of an answer from the budget. Returns none if fewer bytes are left.
    pub(crate) fn reserve(&self, body: &Secret) -> Option<ReservedBytes> {
        let bytes = u32::try_from(body.len() + OVERHEAD).unwrap_or(u32::MAX);
        Arc::clone(&self.0).try_acquire_many_owned(bytes).ok()
    }
}
