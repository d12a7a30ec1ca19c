//! The schedule of a session's renewals: which are due, and when the next renewal is. No other code
//! decides this.

use std::sync::Arc;
use std::time::Instant;

use coffer_vault::RequestId;

use crate::lifetime::{Attempt, Lifetime};
use crate::session::{IssuedTerm, Session, Token};

/// The renewals of a session.
pub(super) struct Schedule {
    /// The renewals that are due. All are claimed for the caller.
    pub(super) due: Vec<DueRenewal>,
    /// When the next renewal is due; none if there is no further renewal.
    pub(super) next: Option<Instant>,
}

/// A claimed renewal. If the value is dropped before [`Self::finish`], the renewal is due again.
pub(super) struct DueRenewal {
    pub(super) session: Arc<Session>,
    pub(super) attempt: Attempt,
    pub(super) what: Renewable,
    is_finished: bool,
}

/// The token or lease that is renewed.
#[derive(Clone)]
pub(super) enum Renewable {
    /// A token.
    Token(Arc<Token>),
    /// A lease, with the request that issued the lease and the token that the lease belongs to.
    Lease { request: RequestId, path: String, class: String, id: String, token: Arc<Token> },
}

impl Schedule {
    /// Claims the renewals of a session that are due.
    pub(super) fn of(session: &Arc<Session>, now: Instant) -> Self {
        let mut schedule = Self { due: Vec::new(), next: None };
        let tokens = session.logins.living(now);
        for token in
            tokens.iter().filter(|token| tokens.last().is_some_and(|new| session.needs(token, new, now)))
        {
            token.change_lifetime(|lifetime| {
                schedule.claim(session, lifetime, now, || Renewable::Token(Arc::clone(token)));
            });
        }
        for held in session.issued.living(now).iter_mut() {
            if let IssuedTerm::Lease { id, lifetime, token } = &mut held.term {
                schedule.claim(session, lifetime, now, || Renewable::Lease {
                    request: held.request,
                    path: held.about.path.clone(),
                    class: held.about.class.clone(),
                    id: id.clone(),
                    token: Arc::clone(token),
                });
            }
        }
        schedule
    }

    fn claim(
        &mut self,
        session: &Arc<Session>,
        lifetime: &mut Lifetime,
        now: Instant,
        what: impl FnOnce() -> Renewable,
    ) {
        if let Some(attempt) = lifetime.claim_renewal(now) {
            self.due.push(DueRenewal {
                session: Arc::clone(session),
                attempt,
                what: what(),
                is_finished: false,
            });
        } else if let Some(at) = lifetime.next_renewal() {
            self.next = Some(self.next.map_or(at, |next| next.min(at)));
        }
    }
}

impl DueRenewal {
    /// Ends the claim, and changes the lifetime by the result of the renewal, unless a mount has
    /// renewed the lease meanwhile.
    pub(super) fn finish(mut self, outcome: impl FnOnce(&mut Lifetime)) {
        self.change_lifetime(|lifetime| {
            if lifetime.is_claimed() {
                outcome(lifetime);
            }
        });
        self.is_finished = true;
    }

    /// Changes the lifetime of the token or lease.
    fn change_lifetime(&self, change: impl FnOnce(&mut Lifetime)) {
        match &self.what {
            Renewable::Token(token) => token.change_lifetime(change),
            Renewable::Lease { request, id, .. } => self.session.issued.change_lease(*request, id, change),
        }
    }
}

impl Drop for DueRenewal {
    fn drop(&mut self) {
        if !self.is_finished {
            self.change_lifetime(Lifetime::release_claim);
        }
        self.session.changes.note();
    }
}
