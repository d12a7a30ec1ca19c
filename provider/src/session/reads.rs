//! Answers that were merely read, and are not read again within the class's `refreshInterval`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coffer_vault::{Answer, RequestId};

use super::answers::{AnswerList, AnswerUse, HeldAnswer, VolumeId};
use super::budget::ByteBudget;

/// The cached reads of one session. They do not outlive the process.
pub(crate) struct Reads {
    /// Each answer with the time when it was asked for.
    answers: Mutex<AnswerList<Instant>>,
    budget: ByteBudget,
}

impl Reads {
    pub(super) fn new(budget: ByteBudget) -> Self {
        Self { answers: Mutex::default(), budget }
    }

    /// Returns the answer to a request that is younger than `max_age`.
    pub(crate) fn get(&self, request: RequestId, max_age: Duration, now: Instant) -> Option<Arc<Answer>> {
        let answers = self.lock();
        let held = answers.get(request)?;
        (now.saturating_duration_since(held.term) < max_age).then(|| Arc::clone(&held.answer))
    }

    /// Caches an answer that was asked for at `asked`, unless the byte budget is used up.
    pub(crate) fn put(
        &self,
        request: RequestId,
        about: AnswerUse,
        answer: Answer,
        asked: Instant,
        volume: VolumeId,
    ) -> Arc<Answer> {
        let Some(reserved) = self.budget.reserve(answer.body()) else { return Arc::new(answer) };
        let answer = Arc::new(Answer::from_body(answer.into_body()));
        self.lock().put(HeldAnswer {
            request,
            about,
            answer: Arc::clone(&answer),
            term: asked,
            volumes: vec![volume],
            _reserved: reserved,
        });
        answer
    }

    /// Drops the answer to a request: the request issues something now.
    pub(crate) fn remove(&self, request: RequestId) {
        self.lock().remove(request);
    }

    /// Notes which answers a volume takes its files from; the others are dropped.
    pub(super) fn note_use(&self, volume: VolumeId, requests: &[RequestId]) {
        self.lock().note_use(volume, requests);
    }

    /// Returns what the cached answers are for.
    pub(crate) fn uses(&self) -> Vec<AnswerUse> {
        self.lock().iter().map(|held| held.about.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, AnswerList<Instant>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
