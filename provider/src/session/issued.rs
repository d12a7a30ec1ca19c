//! The issued answers of a session: leases, and certificates without a lease.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use coffer_vault::{Answer, Request, RequestId};

use super::answers::{AnswerList, AnswerUse, HeldAnswer, VolumeId};
use super::changes::Changes;
use super::token::Token;
use crate::lifetime::Lifetime;
use crate::memory::{HeldBytes, TenantMemory};
use crate::{Error, RefusalReason};

/// Bytes that a place is taken for before an answer is there: credentials, or a certificate with
/// its chain.
const USUAL_BYTES: usize = 8 << 10;

/// Maximum bytes of issued answers of one session, so that storing the session takes little time.
const MOST_BYTES: usize = 2 << 20;

/// An issued answer.
pub(crate) type IssuedAnswer = HeldAnswer<IssuedTerm>;

/// The time for which an issued answer is used.
pub(crate) enum IssuedTerm {
    /// Until the lease, or the token that the lease belongs to, ends or needs a replacement.
    Lease { id: String, lifetime: Lifetime, token: Arc<Token> },
    /// Until the last third of the certificate's life. Until its end, the certificate is a
    /// fallback.
    Certificate { replaced_from: Instant, until: Instant },
}

/// The issued answers of one session.
pub(crate) struct Issued {
    answers: Mutex<AnswerList<IssuedTerm>>,
    /// Paths of requests in progress at which Vault may issue something.
    in_progress: Mutex<Vec<String>>,
    /// Locked by a read while something may be issued, so that a concurrent mount uses the same
    /// answer.
    turn: tokio::sync::Mutex<()>,
    memory: TenantMemory,
    changes: Arc<Changes>,
}

impl Issued {
    pub(super) fn new(answers: AnswerList<IssuedTerm>, memory: TenantMemory, changes: Arc<Changes>) -> Self {
        Self {
            answers: Mutex::new(answers),
            in_progress: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            memory,
            changes,
        }
    }

    /// Takes a place for an answer that Vault may issue, before Vault is asked.
    pub(crate) fn place(&self) -> Option<HeldBytes> {
        let held: usize = self.lock().iter().map(|held| held.answer.bytes()).sum();
        self.memory.hold_issued(USUAL_BYTES).filter(|_| held < MOST_BYTES)
    }

    /// Returns the error of a read for which there is no place.
    pub(crate) fn full(&self) -> Error {
        let namespace = self.memory.namespace();
        let message = format!(
            "what Vault issued to pods of namespace {namespace:?} on this node takes all memory that it may: nothing \
             more is issued"
        );
        Error::over_limit(RefusalReason::Issued, message)
            .with_advice("Let fewer objects of fewer pods issue something")
    }

    /// Waits until no other read of the session is issuing something. The lock is released when the
    /// guard is dropped.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Returns the answer to a request, unless a replacement is due.
    pub(crate) fn current(&self, request: RequestId, now: Instant) -> Option<Arc<Answer>> {
        let answers = self.lock();
        let held = answers.get(request)?;
        held.term.is_current(now).then(|| Arc::clone(&held.answer))
    }

    /// Returns the answer to a request while the answer is valid, even if a replacement is due.
    pub(crate) fn fallback(&self, request: RequestId, now: Instant) -> Option<Arc<Answer>> {
        let answers = self.lock();
        let held = answers.get(request)?;
        (!held.term.is_over(now)).then(|| Arc::clone(&held.answer))
    }

    /// Returns the ID and the token of a request's lease whose last renewal Vault refused, if a
    /// replacement is due.
    pub(crate) fn refused_lease(&self, request: RequestId, now: Instant) -> Option<(String, Arc<Token>)> {
        self.lock().get(request)?.term.refused_lease(now)
    }

    /// Stores an issued answer in the place that was taken for it. An answer that is too large for
    /// the namespace's part of the memory is not stored. Returns the answer, and the one that it
    /// replaces.
    pub(crate) fn put(
        &self,
        request: &Request,
        about: AnswerUse,
        mut answer: Answer,
        term: IssuedTerm,
        volume: VolumeId,
        place: Option<HeldBytes>,
    ) -> (Arc<Answer>, Option<IssuedAnswer>) {
        answer.shrink();
        let mut place = place.or_else(|| self.place());
        if !place.as_mut().is_some_and(|place| place.fit(answer.bytes())) {
            place = None;
        }
        let Some(place) = place else {
            tracing::warn!(
                namespace = self.memory.namespace(),
                path = request.path,
                "no memory left to keep what was issued: it is issued again at the next mount"
            );
            return (Arc::new(answer), None);
        };
        let answer = Arc::new(answer);
        let before = self.lock().put(HeldAnswer {
            request: request.id(),
            about,
            answer: Arc::clone(&answer),
            term,
            volumes: vec![volume],
            _bytes: place,
        });
        self.changes.note();
        (answer, before)
    }

    /// Stores an answer again in place of the one that replaced it.
    pub(crate) fn put_back(&self, before: IssuedAnswer) {
        self.lock().put(before);
        self.changes.note();
    }

    /// Notes which answers a volume uses. The lease of an answer that no volume uses is not renewed
    /// any more.
    pub(super) fn note_use(&self, volume: VolumeId, requests: &[RequestId]) {
        if self.lock().note_use(volume, requests) {
            self.changes.note();
        }
    }

    /// Returns whether a valid lease belongs to the token.
    pub(crate) fn has_lease_of(&self, token: &Arc<Token>, now: Instant) -> bool {
        self.lock().iter().any(|held| held.term.belongs_to(token) && !held.term.is_over(now))
    }

    /// Returns whether an answer is still valid.
    pub(super) fn has_any(&self, now: Instant) -> bool {
        self.lock().iter().any(|held| !held.term.is_over(now))
    }

    /// Returns the number of valid leases.
    pub(crate) fn leases(&self, now: Instant) -> usize {
        let answers = self.lock();
        answers.iter().filter(|held| held.term.is_lease() && !held.term.is_over(now)).count()
    }

    /// Changes the lifetime of a request's lease, unless another lease has replaced the lease.
    pub(crate) fn change_lease(&self, request: RequestId, lease: &str, change: impl FnOnce(&mut Lifetime)) {
        let mut answers = self.lock();
        if let Some(IssuedTerm::Lease { id, lifetime, .. }) =
            answers.get_mut(request).map(|held| &mut held.term)
            && id == lease
        {
            change(lifetime);
        }
    }

    /// Drops the answer to a request, which issues nothing any more.
    pub(crate) fn remove(&self, request: RequestId) {
        if self.lock().remove(request) {
            self.changes.note();
        }
    }

    /// Drops all answers, of a pod that is gone.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Drops a lease that Vault lost.
    pub(crate) fn remove_lease(&self, lease: &str) {
        self.lock().retain(|held| !matches!(&held.term, IssuedTerm::Lease { id, .. } if id == lease));
        self.changes.note();
    }

    /// Drops the answers that have ended, and returns the locked list of the others.
    pub(crate) fn living(&self, now: Instant) -> MutexGuard<'_, AnswerList<IssuedTerm>> {
        let mut answers = self.lock();
        answers.retain(|held| !held.term.is_over(now));
        answers
    }

    /// Returns the locked list of paths of requests in progress at which Vault may issue something.
    pub(crate) fn in_progress(&self) -> MutexGuard<'_, Vec<String>> {
        self.in_progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, AnswerList<IssuedTerm>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IssuedTerm {
    /// Returns when the answer ends: a lease ends with its token.
    pub(crate) fn end(&self) -> Instant {
        match self {
            Self::Lease { lifetime, token, .. } => {
                token.lifetime().map_or(lifetime.until, |of_token| of_token.until.min(lifetime.until))
            }
            Self::Certificate { until, .. } => *until,
        }
    }

    /// Returns the ID and the token of a lease whose last renewal Vault refused, if a replacement is
    /// due.
    pub(crate) fn refused_lease(&self, now: Instant) -> Option<(String, Arc<Token>)> {
        let Self::Lease { id, lifetime, token } = self else { return None };
        let is_due = lifetime.is_refused_and_due(now) && !token.is_over(now) && !token.needs_replacement(now);
        is_due.then(|| (id.clone(), Arc::clone(token)))
    }

    /// Returns whether the renewal of a lease is overdue, or a replacement is late.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        match self {
            Self::Lease { lifetime, token, .. } => {
                let is_late = |lifetime: &Lifetime| lifetime.is_replacement_late(now);
                lifetime.is_renewal_overdue(now)
                    || is_late(lifetime)
                    || token.lifetime().is_some_and(|l| is_late(&l))
            }
            Self::Certificate { replaced_from, until } => {
                *replaced_from + until.saturating_duration_since(*replaced_from) / 2 <= now
            }
        }
    }

    fn is_current(&self, now: Instant) -> bool {
        match self {
            Self::Lease { lifetime, token, .. } => {
                !self.is_over(now) && !lifetime.needs_replacement(now) && !token.needs_replacement(now)
            }
            Self::Certificate { replaced_from, .. } => now < *replaced_from,
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        match self {
            Self::Lease { lifetime, token, .. } => lifetime.is_over(now) || token.is_over(now),
            Self::Certificate { until, .. } => *until <= now,
        }
    }

    fn is_lease(&self) -> bool {
        matches!(self, Self::Lease { .. })
    }

    fn belongs_to(&self, owner: &Arc<Token>) -> bool {
        matches!(self, Self::Lease { token, .. } if Arc::ptr_eq(token, owner))
    }
}
