//! Vault tokens and their lifetimes.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use coffer_shares::Share;
use coffer_vault::{Login, Secret};

use super::users::{UserGuard, Users};
use crate::lifetime::Lifetime;

/// A Vault token.
pub(crate) struct Token {
    secret: Secret,
    /// When the login request was sent.
    pub(crate) asked: Instant,
    /// The lifetime; none if the token never ends.
    lifetime: Mutex<Option<Lifetime>>,
    /// Whether the token has a use limit, and so serves only one read.
    limited: bool,
    /// Whether Vault issued something to the token, which ends with the token.
    owns_leases: AtomicBool,
    /// Whether Vault does not know the token any more, for example after its revocation.
    gone: AtomicBool,
    pub(super) users: Users,
    /// The token's part of the namespace's memory.
    memory: Option<Share>,
}

/// A token in use, which is not revoked as a replaced token until this guard is dropped.
pub(crate) struct UsedToken {
    token: Arc<Token>,
    _user: UserGuard,
}

impl Token {
    /// Returns the token of a login whose request was sent at `asked`. `renewed` is whether the
    /// lease manager renews the token.
    pub(super) fn of_login(login: Login, asked: Instant, renewed: bool, memory: Share) -> Self {
        let lifetime = login.ttl.map(|ttl| Lifetime::new(asked, ttl, login.renewable && renewed));
        let token = Self::restored(login.token, asked, lifetime, false, Some(memory));
        Self { limited: login.uses > 0, ..token }
    }

    /// Returns a token that was stored before a restart.
    pub(crate) fn restored(
        secret: Secret,
        asked: Instant,
        lifetime: Option<Lifetime>,
        owns_leases: bool,
        memory: Option<Share>,
    ) -> Self {
        Self {
            secret,
            asked,
            lifetime: Mutex::new(lifetime),
            limited: false,
            owns_leases: AtomicBool::new(owns_leases),
            gone: AtomicBool::new(false),
            users: Users::default(),
            memory,
        }
    }

    /// Returns a guard that marks the token as in use.
    pub(super) fn enter(self: &Arc<Self>) -> UsedToken {
        UsedToken { _user: self.users.enter(), token: Arc::clone(self) }
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Returns the lifetime; none if the token never ends.
    pub(crate) fn lifetime(&self) -> Option<Lifetime> {
        *self.lifetime.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the memory that is charged for the token, in bytes.
    pub(super) fn charged_bytes(&self) -> usize {
        self.memory.as_ref().map_or(0, Share::amount)
    }

    /// Changes the lifetime, if the token has one.
    pub(crate) fn change_lifetime(&self, change: impl FnOnce(&mut Lifetime)) {
        if let Some(lifetime) = &mut *self.lifetime.lock().unwrap_or_else(PoisonError::into_inner) {
            change(lifetime);
        }
    }

    /// Notes that something was issued to the token.
    pub(crate) fn note_lease(&self) {
        self.owns_leases.store(true, Ordering::Relaxed);
    }

    /// Returns whether Vault issued something to the token.
    pub(crate) fn owns_leases(&self) -> bool {
        self.owns_leases.load(Ordering::Relaxed)
    }

    /// Notes that Vault does not know the token any more. Everything that was issued to the token
    /// has ended too.
    pub(crate) fn note_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Returns whether Vault does not know the token any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Returns whether new reads may use the token.
    pub(super) fn is_good(&self, now: Instant) -> bool {
        let lasts = |lifetime: &Lifetime| now + margin(lifetime.full_ttl) < lifetime.until;
        let is_usable = !self.limited && !self.is_gone();
        is_usable && self.lifetime().is_none_or(|lifetime| lasts(&lifetime))
    }

    /// Returns whether the token may be stored for later reads: the token has no use limit.
    pub(crate) fn is_reusable(&self) -> bool {
        !self.limited
    }

    /// Returns whether the token has ended, by its TTL or because Vault does not know the token.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.is_gone() || self.lifetime().is_some_and(|lifetime| lifetime.is_over(now))
    }

    /// Returns whether Vault may know the token still, even if it has ended by the grants that
    /// arrived.
    pub(super) fn may_last(&self, now: Instant) -> bool {
        !self.is_gone() && self.lifetime().is_none_or(|lifetime| lifetime.may_last(now))
    }

    /// Returns whether the leases of the token need replacements that belong to another token.
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

/// Returns how long before its end a token is not used any more.
fn margin(ttl: Duration) -> Duration {
    (ttl / 10).min(Duration::from_secs(60))
}
