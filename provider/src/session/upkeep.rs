//! What is done for a session in the background: its tokens and leases are renewed. It never logs in and never issues.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::future::join_all;

use super::{Held, Session, Term, Token};
use crate::attempt::Attempt;
use crate::lifetime::Lifetime;
use crate::plan::RequestId;
use crate::vault::{Failure, Vault};

/// A lease that is to be renewed.
struct DueLease {
    request: RequestId,
    path: String,
    id: String,
    token: Arc<Token>,
}

impl Session {
    /// When something is to be renewed next by such an attempt; none while that is being done.
    pub(crate) fn next_renewal(&self, attempt: Attempt) -> Option<Instant> {
        if !self.is_kept() || self.renewing[attempt as usize].load(Ordering::Relaxed) {
            return None;
        }
        let now = self.clock.now();
        let mut holdings = self.holdings();
        holdings.forget_over(now);
        let tokens =
            holdings.tokens.iter().filter(|token| holdings.needs(token)).filter_map(|t| t.lifetime());
        let leases = holdings.answers.iter().filter_map(|held| match &held.term {
            Term::Lease { lifetime, .. } => Some(*lifetime),
            _ => None,
        });
        let lifetimes = tokens.chain(leases).filter(|lifetime| lifetime.attempt() == attempt);
        lifetimes.filter_map(|lifetime| lifetime.renewal).min()
    }

    /// Marks the session as one whose renewals are being made, until the mark is dropped.
    pub(crate) fn start_renewing(self: &Arc<Self>, attempt: Attempt) -> Renewing {
        self.renewing[attempt as usize].store(true, Ordering::Relaxed);
        Renewing { session: Arc::clone(self), attempt }
    }

    fn due_tokens(&self, attempt: Attempt) -> Vec<Arc<Token>> {
        let now = self.clock.now();
        let is_due = |token: &Token| token.lifetime().is_some_and(|life| is_due(&life, attempt, now));
        let holdings = self.holdings();
        holdings.tokens.iter().filter(|token| is_due(token) && holdings.needs(token)).cloned().collect()
    }

    fn due_leases(&self, attempt: Attempt) -> Vec<DueLease> {
        let now = self.clock.now();
        let due = |held: &Held| match &held.term {
            Term::Lease { id, lifetime, token } if is_due(lifetime, attempt, now) => Some(DueLease {
                request: held.request,
                path: held.about.path.clone(),
                id: id.clone(),
                token: Arc::clone(token),
            }),
            _ => None,
        };
        self.holdings().answers.iter().filter_map(due).collect()
    }

    async fn renew_token(&self, token: &Arc<Token>, vault: &Vault<'_>) {
        let asked = self.clock.now();
        let renewed = vault.renew(token.secret()).await;
        match renewed {
            Ok(login) => token.change_lifetime(|lifetime| match login.ttl {
                Some(ttl) => lifetime.renewed(asked, ttl, login.renewable),
                None => lifetime.end_renewals(),
            }),
            Err(failure) if failure.is_denied() && !vault.knows(token.secret()).await => {
                self.lose_token(token);
            }
            Err(failure) if failure.is_policy() || failure.is_bad_request() => {
                self.warn("the token", "is renewed no further", failure, vault);
                token.change_lifetime(Lifetime::end_renewals);
            }
            Err(failure) => {
                self.warn("the token", "is not renewed yet", failure, vault);
                token.change_lifetime(|lifetime| lifetime.put_off(self.clock.now()));
            }
        }
        self.note_change(&mut self.holdings());
    }

    async fn renew_lease(&self, lease: &DueLease, vault: &Vault<'_>) {
        if lease.token.is_dead() {
            return;
        }
        let asked = self.clock.now();
        let secret = lease.token.secret();
        let what = || format!("the lease of {}", lease.path);
        match vault.renew_lease(secret, &lease.id).await {
            Ok(renewed) => {
                self.change_lease(lease, |life| life.renewed(asked, renewed.duration, renewed.renewable));
            }
            Err(failure) if failure.is_denied() && !vault.knows(secret).await => {
                self.lose_token(&lease.token);
            }
            Err(failure) if failure.is_policy() => {
                self.warn(&what(), "is renewed no further", failure, vault);
                self.change_lease(lease, Lifetime::end_renewals);
            }
            Err(failure) if failure.is_bad_request() && vault.has_lost(secret, &lease.id).await => {
                self.warn(&what(), "is gone, the next mount has it issued anew", failure, vault);
                self.holdings().answers.retain(|held| !held.is_lease_of(&lease.id));
            }
            Err(failure) => {
                // at the end of what the engine allows, and where the engine itself failed, Vault says so with the same status
                let refused = failure.is_bad_request();
                self.warn(&what(), "is not renewed yet", failure, vault);
                let now = self.clock.now();
                self.change_lease(lease, |life| if refused { life.refuse(now) } else { life.put_off(now) });
            }
        }
        self.note_change(&mut self.holdings());
    }

    fn change_lease(&self, lease: &DueLease, change: impl FnOnce(&mut Lifetime)) {
        let mut holdings = self.holdings();
        let held = holdings.answers.iter_mut().find(|held| held.request == lease.request);
        if let Some(Term::Lease { id, lifetime, .. }) = held.map(|held| &mut held.term)
            && *id == lease.id
        {
            change(lifetime);
        }
    }

    fn lose_token(&self, token: &Arc<Token>) {
        if token.is_dead() {
            return;
        }
        let (namespace, pod) = (&self.key.identity.namespace, self.pod_name());
        tracing::warn!(
            namespace,
            pod,
            "Vault knows the token no more, and what was issued to it is gone; the next mount logs in anew"
        );
        self.bury(token);
    }

    fn warn(&self, what: &str, fate: &str, failure: Failure, vault: &Vault<'_>) {
        let (namespace, pod) = (&self.key.identity.namespace, self.pod_name());
        let error = failure.into_error(&vault.target.target.address.to_string());
        tracing::warn!(namespace, pod, "{what} {fate}: {error}");
    }
}

fn is_due(lifetime: &Lifetime, attempt: Attempt, now: Instant) -> bool {
    lifetime.is_due(now) && lifetime.attempt() == attempt
}

/// A session whose renewals of one kind are being made.
pub(crate) struct Renewing {
    session: Arc<Session>,
    attempt: Attempt,
}

impl Renewing {
    /// Makes them: tokens first, since leases die with them. Each waits for its turn, and none for another to be answered.
    pub(crate) async fn renew_due(&self, vault: &Vault<'_>) {
        let Self { session, attempt } = self;
        join_all(session.due_tokens(*attempt).iter().map(async |token| {
            let turn = attempt.turn(&vault.target.limits.renewals, *vault).await;
            session.renew_token(token, &turn.vault).await;
        }))
        .await;
        join_all(session.due_leases(*attempt).iter().map(async |lease| {
            let turn = attempt.turn(&vault.target.limits.renewals, *vault).await;
            session.renew_lease(lease, &turn.vault).await;
        }))
        .await;
    }

    /// Puts off what is due, for there is no Vault to ask.
    pub(crate) fn put_off(&self) {
        let Self { session, attempt } = self;
        let now = session.clock.now();
        for token in session.due_tokens(*attempt) {
            token.change_lifetime(|lifetime| lifetime.put_off(now));
        }
        for lease in session.due_leases(*attempt) {
            session.change_lease(&lease, |lifetime| lifetime.put_off(now));
        }
    }
}

impl Drop for Renewing {
    fn drop(&mut self) {
        let Self { session, attempt } = self;
        session.renewing[*attempt as usize].store(false, Ordering::Relaxed);
        session.note_change(&mut session.holdings());
    }
}
