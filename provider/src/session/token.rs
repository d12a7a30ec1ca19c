//! A Vault token, and how long it is good for.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use coffer_vault::{Login, Secret};

use super::users::{UserGuard, Users};
use crate::lifetime::Lifetime;

/// A Vault token.
pub(crate) struct Token {
    secret: Secret,
    /// When the token was asked for.
    pub(crate) asked: Instant,
    /// None where the token never ends.
    lifetime: Mutex<Option<Lifetime>>,
    /// Whether the token is good for a number of requests only, and so for one read.
    limited: bool,
    /// Whether something was issued to the token that is revoked with it.
    owns_leases: AtomicBool,
    /// Whether Vault does not know the token any more: it said so, or revoked the token for us.
    gone: AtomicBool,
    pub(super) users: Users,
}

/// A token in use: nobody revokes it until this is dropped.
pub(crate) struct UsedToken {
    token: Arc<Token>,
    _user: UserGuard,
}

impl Token {
    /// Returns the token of a login that was asked for at `asked`; `renewed` where the lease manager renews it.
    pub(super) fn of_login(login: Login, asked: Instant, renewed: bool) -> Self {
        let lifetime = login.ttl.map(|ttl| Lifetime::new(asked, ttl, login.renewable && renewed));
        Self { limited: login.uses > 0, ..Self::restored(login.token, asked, lifetime, false) }
    }

    /// Returns a token that was stored before a restart.
    pub(crate) fn restored(
        secret: Secret,
        asked: Instant,
        lifetime: Option<Lifetime>,
        owns_leases: bool,
    ) -> Self {
        Self {
            secret,
            asked,
            lifetime: Mutex::new(lifetime),
            limited: false,
            owns_leases: AtomicBool::new(owns_leases),
            gone: AtomicBool::new(false),
            users: Users::default(),
        }
    }

    /// Enters the token as one of its users.
    pub(super) fn enter(self: &Arc<Self>) -> UsedToken {
        UsedToken { _user: self.users.enter(), token: Arc::clone(self) }
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) fn lifetime(&self) -> Option<Lifetime> {
        *self.lifetime.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the lifetime, where the token has one.
    pub(crate) fn change_lifetime(&self, change: impl FnOnce(&mut Lifetime)) {
        if let Some(lifetime) = &mut *self.lifetime.lock().unwrap_or_else(PoisonError::into_inner) {
            change(lifetime);
        }
    }

    /// Notes that something was issued to the token.
    pub(crate) fn note_lease(&self) {
        self.owns_leases.store(true, Ordering::Relaxed);
    }

    pub(crate) fn owns_leases(&self) -> bool {
        self.owns_leases.load(Ordering::Relaxed)
    }

    /// Notes that Vault does not know the token any more. What was issued to the token is over with it.
    pub(crate) fn note_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Returns whether new reads are made with the token.
    pub(super) fn is_good(&self, now: Instant) -> bool {
        let lasts = |lifetime: &Lifetime| now + margin(lifetime.full_ttl) < lifetime.until;
        let is_usable = !self.limited && !self.is_gone();
        is_usable && self.lifetime().is_none_or(|lifetime| lasts(&lifetime))
    }

    /// Returns whether the token can be kept for later reads.
    pub(crate) fn is_reusable(&self) -> bool {
        !self.limited
    }

    /// Returns whether the token has ended, by time or by Vault's word.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.is_gone() || self.lifetime().is_some_and(|lifetime| lifetime.is_over(now))
    }

    /// Returns whether what was issued to the token must be replaced under another token.
    pub(crate) fn needs_replacement(&self, now: Instant) -> bool {
        self.lifetime().is_some_and(|lifetime| lifetime.needs_replacement(now))
    }
}

impl Deref for UsedToken {
    type Target = Arc<Token>;

    fn deref(&self) -> &Arc<Token> {
        &self.token
    }
}

/// How long before its end a token is not used any more.
fn margin(ttl: Duration) -> Duration {
    (ttl / 10).min(Duration::from_secs(60))
}
