//! A Vault token, and how long it is good for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Secret;
use crate::lifetime::Lifetime;
use crate::vault::Login;

/// A Vault token.
pub(crate) struct Token {
    pub(super) secret: Secret,
    /// When it was asked for.
    pub(super) since: Instant,
    /// None where it never ends.
    lifetime: Mutex<Option<Lifetime>>,
    /// Whether it is good for a number of requests only, and so for one read.
    limited: bool,
    /// Whether something was issued to it that would be revoked with it.
    owns: AtomicBool,
    /// Whether Vault said that it knows it no more.
    dead: AtomicBool,
}

impl Token {
    /// The token of a login that was made at `since`. Without `renewed`, nobody will renew it.
    pub(super) fn of_login(login: Login, since: Instant, renewed: bool) -> Self {
        let lifetime = login.ttl.map(|ttl| Lifetime::new(since, ttl, login.renewable && renewed));
        Self { limited: login.uses > 0, ..Self::restored(login.token, since, lifetime, false) }
    }

    /// A token that was kept over a restart.
    pub(super) fn restored(secret: Secret, since: Instant, lifetime: Option<Lifetime>, owns: bool) -> Self {
        Self {
            secret,
            since,
            lifetime: Mutex::new(lifetime),
            limited: false,
            owns: AtomicBool::new(owns),
            dead: AtomicBool::new(false),
        }
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) fn lifetime(&self) -> Option<Lifetime> {
        *self.lifetime.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes its lifetime, where it has one.
    pub(super) fn change_lifetime(&self, change: impl FnOnce(&mut Lifetime)) {
        if let Some(lifetime) = &mut *self.lifetime.lock().unwrap_or_else(PoisonError::into_inner) {
            change(lifetime);
        }
    }

    /// Notes that something was issued to the token.
    pub(crate) fn note_issue(&self) {
        self.owns.store(true, Ordering::Relaxed);
    }

    pub(crate) fn owns(&self) -> bool {
        self.owns.load(Ordering::Relaxed)
    }

    /// Notes that Vault knows it no more.
    pub(super) fn note_death(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Whether reads are made with it.
    pub(super) fn is_good(&self, now: Instant) -> bool {
        let lasts = |lifetime: &Lifetime| now + margin(lifetime.whole) < lifetime.until;
        let is_usable = !self.limited && !self.is_dead();
        is_usable && self.lifetime().is_none_or(|lifetime| lasts(&lifetime))
    }

    /// Whether it can be kept for later reads.
    pub(super) fn is_reusable(&self) -> bool {
        !self.limited
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.lifetime().is_some_and(|lifetime| lifetime.is_over(now))
    }

    /// Whether what was issued to it needs a successor under another token.
    pub(super) fn wants_successor(&self, now: Instant) -> bool {
        self.lifetime().is_some_and(|lifetime| lifetime.wants_successor(now))
    }
}

/// How long before its end a token is not used any more.
fn margin(ttl: Duration) -> Duration {
    (ttl / 10).min(Duration::from_secs(60))
}
