//! The account of memory: every byte that a namespace can cause counts against its part.

use std::sync::Arc;

use coffer_shares::{NeverFits, Priority, Share, Shares};

use crate::{Error, RefusalReason};

/// Memory of a session besides tokens, answers and frames, in bytes.
pub(crate) const SESSION_BYTES: usize = 4 << 10;

/// Memory of a held answer besides body and index, in bytes.
const HELD_ANSWER_BYTES: usize = 1 << 10;

/// The bytes that namespaces share. Clones are the same account.
#[derive(Clone)]
pub struct MemoryAccount {
    bytes: usize,
    /// All bytes, of which an eighth is for requests to the operator's own Vault.
    pub(crate) all: Shares,
    /// The part of all bytes that issued answers may have. They are held as long as their pods.
    issued: Shares,
    /// The part of all bytes that cached reads may have. Together with issued answers they leave
    /// room for reads in progress.
    reads: Shares,
}

/// One namespace's part of the account.
#[derive(Clone)]
pub struct TenantMemory {
    account: MemoryAccount,
    namespace: Arc<str>,
}

/// The memory of a held answer besides what the answer itself counts, and its place among the held
/// answers of its kind.
#[derive(Debug)]
pub(crate) struct HeldBytes {
    kind: Share,
    _overhead: Share,
}

impl MemoryAccount {
    /// Returns an account of this many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            bytes,
            all: Shares::with_reserve(bytes, bytes / 8),
            issued: Shares::new(bytes * 3 / 8),
            reads: Shares::new(bytes / 8),
        }
    }

    /// Returns the size of the account, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns what issued answers and cached reads have of the account, in bytes.
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.issued.taken(), self.reads.taken())
    }

    /// Returns a namespace's part.
    #[must_use]
    pub fn of(&self, namespace: &str) -> TenantMemory {
        TenantMemory { account: self.clone(), namespace: Arc::from(namespace) }
    }

    /// Returns the most bytes that one namespace can have.
    #[must_use]
    pub fn most_of_one(&self) -> usize {
        self.all.most_of_one(Priority::Reserved)
    }
}

impl TenantMemory {
    /// Takes bytes at once. Returns none if the namespace's part is used up.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Option<Share> {
        self.account.all.try_take(&self.namespace, bytes, Priority::Common)
    }

    /// Returns the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Takes bytes as soon as the namespace may have as many.
    ///
    /// # Errors
    /// [`NeverFits`], if one namespace cannot have as many at all.
    pub(crate) async fn wait_for(&self, bytes: usize) -> Result<Share, NeverFits> {
        self.account.all.take(&self.namespace, bytes, Priority::Common).await
    }

    /// Returns the error of a read that needs more than what is left of the namespace's part.
    #[must_use]
    pub fn used_up(&self) -> Error {
        let most = self.account.most_of_one() >> 20;
        let message = format!(
            "namespace {:?} uses its part of the provider's memory on this node (at most {most} MiB for one \
             namespace); the mount is tried again",
            &*self.namespace
        );
        Error::over_limit(RefusalReason::Memory, message)
            .with_advice("Mount fewer or smaller secrets at once, or let the operator raise the memory limit")
    }

    /// Takes the place for an issued answer of this size.
    pub(crate) fn hold_issued(&self, bytes: usize) -> Option<HeldBytes> {
        self.hold(&self.account.issued, bytes)
    }

    /// Takes the place for a cached read of this size.
    pub(crate) fn hold_read(&self, bytes: usize) -> Option<HeldBytes> {
        self.hold(&self.account.reads, bytes)
    }

    fn hold(&self, of_kind: &Shares, bytes: usize) -> Option<HeldBytes> {
        let kind = of_kind.try_take(&self.namespace, bytes + HELD_ANSWER_BYTES, Priority::Common)?;
        Some(HeldBytes { kind, _overhead: self.take(HELD_ANSWER_BYTES)? })
    }
}

impl HeldBytes {
    /// Changes the place to that of an answer of this size. Returns false if there is no room.
    pub(crate) fn fit(&mut self, bytes: usize) -> bool {
        let bytes = bytes + HELD_ANSWER_BYTES;
        match bytes.checked_sub(self.kind.amount()) {
            Some(more) if more > 0 => self.kind.try_grow(more),
            _ => {
                self.kind.shrink_to(bytes);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryAccount;

    #[test]
    fn held_answers_leave_room_for_reads_in_progress() {
        let account = MemoryAccount::new(64 << 10);
        let own = account.of("greedy");
        let issued: Vec<_> = std::iter::from_fn(|| own.hold_issued(1 << 10)).collect();
        let reads: Vec<_> = std::iter::from_fn(|| own.hold_read(1 << 10)).collect();
        assert_eq!((issued.len(), reads.len()), (6, 2));
        assert!(own.take(8 << 10).is_some());
        assert!(account.of("other").hold_issued(1 << 10).is_some());
    }

    #[test]
    fn a_place_fits_the_answer_that_comes() {
        let own = MemoryAccount::new(64 << 10).of("ns");
        let mut place = own.hold_issued(4 << 10).expect("room");
        assert!(place.fit(100) && place.fit(5 << 10) && !place.fit(20 << 10));
    }
}
