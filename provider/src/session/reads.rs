//! Cached reads: answers without a lease, which are used again within the class's
//! `refreshInterval`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coffer_vault::{Answer, RequestId};

use super::answers::{AnswerList, AnswerUse, HeldAnswer, VolumeId};
use crate::memory::TenantMemory;

/// The cached reads of one session. Cached reads are not stored over a restart.
pub(crate) struct Reads {
    /// The answers; the term is the time of the request.
    answers: Mutex<AnswerList<Instant>>,
    memory: TenantMemory,
}

impl Reads {
    pub(super) fn new(memory: TenantMemory) -> Self {
        Self { answers: Mutex::default(), memory }
    }

    /// Returns the answer to a request if the answer is younger than `max_age`.
    pub(crate) fn get(&self, request: RequestId, max_age: Duration, now: Instant) -> Option<Arc<Answer>> {
        let answers = self.lock();
        let held = answers.get(request)?;
        (now.saturating_duration_since(held.term) < max_age).then(|| Arc::clone(&held.answer))
    }

    /// Caches the answer to a request that was sent at `asked`, unless the namespace's part of the
    /// memory is used up.
    pub(crate) fn put(
        &self,
        request: RequestId,
        about: AnswerUse,
        mut answer: Answer,
        asked: Instant,
        volume: VolumeId,
    ) -> Arc<Answer> {
        answer.shrink();
        let Some(bytes) = self.memory.hold_read(answer.bytes()) else { return Arc::new(answer) };
        let answer = Arc::new(answer);
        self.lock().put(HeldAnswer {
            request,
            about,
            answer: Arc::clone(&answer),
            term: asked,
            volumes: vec![volume],
            _bytes: bytes,
        });
        answer
    }

    /// Drops the answer to a request, which issues something now.
    pub(crate) fn remove(&self, request: RequestId) {
        self.lock().remove(request);
    }

    /// Notes which answers a volume uses, and drops the answers that no volume uses.
    pub(super) fn note_use(&self, volume: VolumeId, requests: &[RequestId]) {
        self.lock().note_use(volume, requests);
    }

    /// Drops all cached reads, of a pod that is gone.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Returns the use of each cached read, for the inventory.
    pub(crate) fn uses(&self) -> Vec<AnswerUse> {
        self.lock().iter().map(|held| held.about.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, AnswerList<Instant>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
