//! What a session holds between reads: tokens, and the answers that are not asked for again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::room::Share;
use super::token::Token;
use crate::lifetime::Lifetime;
use crate::plan::RequestId;
use crate::vault::Answer;

/// Tokens and answers of one identity.
#[derive(Default)]
pub(crate) struct Holdings {
    /// Tokens that may be alive, the newest last.
    pub(super) tokens: Vec<Arc<Token>>,
    pub(super) answers: Vec<Held>,
    /// The mounts that read through the session, as far as this process saw them.
    pub(super) mounted: Vec<Volume>,
    /// Paths that are being asked for, and at which Vault may issue something.
    pub(super) issuing: Vec<String>,
    /// Whether the store knows of all this.
    pub(super) changed: bool,
}

/// An answer that is held.
pub(crate) struct Held {
    pub(super) request: RequestId,
    pub(super) about: About,
    pub(super) answer: Arc<Answer>,
    pub(super) term: Term,
    /// The mounts whose files come from it.
    pub(super) volumes: Vec<Volume>,
    pub(super) _room: Share,
}

/// One mount of an identity, a digest of what the driver calls it by.
pub(crate) type Volume = u64;

/// What an answer is for, as its readers know it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct About {
    pub(crate) class: String,
    pub(crate) objects: Vec<String>,
    pub(crate) path: String,
}

/// For how long an answer is good.
pub(crate) enum Term {
    /// As long as Vault lets the lease live, and the token that it was given to.
    Lease { id: String, lifetime: Lifetime, token: Arc<Token> },
    /// A certificate: until two thirds of its life, and in need until its end.
    Certificate { replaced_from: Instant, until: Instant },
    /// Anything else: for as long as the class says.
    Read { at: Instant },
}

impl Holdings {
    pub(super) fn held(&self, request: RequestId) -> Option<&Held> {
        self.answers.iter().find(|held| held.request == request)
    }

    /// Puts an answer in the place of the one that the same request had before, and that other mounts may need.
    pub(super) fn put(&mut self, mut held: Held) {
        if let Some(before) = self.answers.iter().position(|other| other.request == held.request) {
            let before = self.answers.swap_remove(before);
            let others = before.volumes.into_iter().filter(|volume| !held.volumes.contains(volume));
            let others: Vec<Volume> = others.collect();
            held.volumes.extend(others);
        }
        self.answers.push(held);
    }

    /// Adds a token, and forgets those that are over and all that was issued to them.
    pub(super) fn add_token(&mut self, token: Arc<Token>, now: Instant) {
        self.forget_over(now);
        self.tokens.push(token);
        self.changed = true;
    }

    /// Forgets what has come to its end.
    pub(super) fn forget_over(&mut self, now: Instant) {
        self.answers.retain(|held| !held.is_over(now));
        self.tokens.retain(|token| !token.is_over(now));
    }

    /// Forgets a token that Vault knows no more, and what was issued to it. Certificates are nobody's.
    pub(super) fn bury(&mut self, token: &Arc<Token>) {
        token.note_death();
        self.tokens.retain(|other| !Arc::ptr_eq(other, token));
        self.answers.retain(|held| !held.is_lease_under(token));
        self.changed = true;
    }

    /// Notes which answers a mount took its files from; what no mount needs any more is not renewed any more.
    pub(super) fn used(&mut self, volume: Volume, requests: &[RequestId]) {
        for held in &mut self.answers {
            let listed = held.volumes.contains(&volume);
            match (requests.contains(&held.request), listed) {
                (true, false) => held.volumes.push(volume),
                (false, true) => held.volumes.retain(|other| *other != volume),
                _ => continue,
            }
            self.changed |= held.outlives_process();
        }
        self.answers.retain(|held| !held.volumes.is_empty());
    }

    /// Whether it has something that was issued and is good yet.
    pub(super) fn has_issued(&self, now: Instant) -> bool {
        self.tokens.iter().any(|token| token.owns() && !token.is_over(now))
            || self.answers.iter().any(|held| held.is_good_yet(now))
    }

    /// Whether it has leases that are good yet.
    pub(super) fn has_leases(&self, now: Instant) -> bool {
        self.answers.iter().any(|held| held.is_lease() && !held.is_over(now))
    }

    /// Whether a token is needed by what is held, or by the reads to come.
    pub(super) fn needs(&self, token: &Arc<Token>) -> bool {
        let is_newest = self.tokens.last().is_some_and(|newest| Arc::ptr_eq(newest, token));
        (is_newest && !self.mounted.is_empty()) || self.answers.iter().any(|held| held.is_lease_under(token))
    }
}

impl Held {
    /// Whether the answer still serves: with nothing to renew it, leases and certificates do not.
    pub(super) fn serves(&self, now: Instant, refresh_interval: Duration, kept: bool) -> bool {
        match &self.term {
            Term::Lease { lifetime, token, .. } => {
                kept && !self.is_over(now) && !lifetime.wants_successor(now) && !token.wants_successor(now)
            }
            Term::Certificate { replaced_from, .. } => kept && now < *replaced_from,
            Term::Read { at } => now.saturating_duration_since(*at) < refresh_interval,
        }
    }

    /// Whether what was issued is good yet, should there be no successor.
    pub(super) fn is_good_yet(&self, now: Instant) -> bool {
        self.outlives_process() && !self.is_over(now)
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        match &self.term {
            Term::Lease { lifetime, token, .. } => lifetime.is_over(now) || token.is_over(now),
            Term::Certificate { until, .. } => *until <= now,
            Term::Read { .. } => false,
        }
    }

    pub(super) fn is_lease_of(&self, lease: &str) -> bool {
        matches!(&self.term, Term::Lease { id, .. } if id == lease)
    }

    fn is_lease_under(&self, token: &Arc<Token>) -> bool {
        matches!(&self.term, Term::Lease { token: other, .. } if Arc::ptr_eq(other, token))
    }

    pub(super) fn is_lease(&self) -> bool {
        matches!(self.term, Term::Lease { .. })
    }

    /// Whether it is worth keeping over a restart: what was issued is, what was merely read is read again.
    pub(super) fn outlives_process(&self) -> bool {
        !matches!(self.term, Term::Read { .. })
    }
}
