//! Identity and Vault target become a token: log in, keep, log in anew.

mod answers;
mod entries;
mod holdings;
mod intent;
mod login;
mod moments;
mod record;
mod room;
mod sessions;
mod token;
mod upkeep;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::keeping::Keeping;
use crate::metrics::TokenSource;
use crate::plan::Request;
use crate::render::Earlier;
use crate::request::{Identity, Pod, TokenMinter};
use crate::vault::{Target, Vault};
use crate::{Clock, Error, Secret};
pub(crate) use holdings::{About, Term, Volume};
use holdings::{Held, Holdings};
use room::Room;
pub(crate) use sessions::Sessions;
pub(crate) use token::Token;
pub(crate) use upkeep::Renewing;

/// Everything that Vault could have decided on. What is not in here cannot have influenced an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct SessionKey {
    pub(crate) target: Target,
    pub(crate) namespace: Option<String>,
    pub(crate) auth_mount: String,
    pub(crate) role: String,
    pub(crate) audience: Option<String>,
    pub(crate) identity: Identity,
}

/// How often a denial may lead to a new login: a policy that was added to the role since must get through.
const LOGIN_AFTER_DENIAL: Duration = Duration::from_secs(60);

/// One identity at one target: its tokens, and what is remembered between its reads.
pub(crate) struct Session {
    key: SessionKey,
    clock: Arc<dyn Clock>,
    /// When it was made; none where it was kept over a restart, and so is older than this process.
    made: Option<Instant>,
    /// What the store knows it by.
    record: String,
    keeping: Option<Arc<Keeping>>,
    room: Room,
    /// Held over a login, so that one login serves all who wait.
    login: tokio::sync::Mutex<LoginState>,
    holdings: Mutex<Holdings>,
    /// Held while something may be issued, so that who asks for the same finds it issued.
    issuing: tokio::sync::Mutex<()>,
    /// Whether its renewals are being made, by attempt.
    renewing: [AtomicBool; 2],
    /// Whether its pod is gone.
    ended: AtomicBool,
    served: AtomicBool,
    pub(crate) earlier: Earlier,
}

#[derive(Default)]
struct LoginState {
    token: Option<Arc<Token>>,
    /// When Vault last confirmed, after a denial, that the token is alive.
    confirmed: Option<Instant>,
    /// When a denial last led to a login, a failed one too.
    tried: Option<Instant>,
    /// The last login, where it failed, and when it was begun.
    failed: Option<(Instant, Error)>,
}

/// One read in progress: Vault, and what a login needs should the read come to one.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) vault: Vault<'a>,
    /// When the read began; a token since then is of this read.
    pub(crate) began: Instant,
    pub(crate) tokens: &'a BTreeMap<String, Secret>,
    /// Audience of the driver's tokens where the class names none.
    pub(crate) default_audience: &'a str,
    pub(crate) minter: &'a dyn TokenMinter,
    /// The class that is read, and for which of the identity's mounts.
    pub(crate) class: &'a str,
    pub(crate) volume: Volume,
    /// How old an answer may be that is not read again.
    pub(crate) refresh_interval: Duration,
}

impl Session {
    /// Whether a read of this session succeeded before.
    pub(crate) fn was_served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    pub(crate) fn mark_served(&self) {
        self.served.store(true, Ordering::Relaxed);
    }

    /// The kept token, or the one of a login made now.
    pub(crate) async fn token(&self, reading: &Reading<'_>) -> Result<Arc<Token>, Error> {
        self.token_that(|_| true, reading).await
    }

    /// The token for a request: what may be issued at it ends with the token, which must not be near its own end then.
    pub(crate) async fn token_for(
        &self,
        request: &Request,
        reading: &Reading<'_>,
    ) -> Result<Arc<Token>, Error> {
        let now = self.clock.now();
        let may_issue = self.may_issue(request);
        self.token_that(|token| !(may_issue && token.wants_successor(now)), reading).await
    }

    async fn token_that(
        &self,
        fits: impl Fn(&Token) -> bool,
        reading: &Reading<'_>,
    ) -> Result<Arc<Token>, Error> {
        let mut login = self.login.lock().await;
        let now = self.clock.now();
        if let Some(token) = login.token.as_ref().filter(|token| token.is_good(now) && fits(token)) {
            reading.vault.metrics.token(TokenSource::Kept);
            return Ok(Arc::clone(token));
        }
        self.log_in(&mut login, reading).await
    }

    /// Another token after Vault denied `denied` a request, where another one may do better: Vault knows it no
    /// more, or it is old enough that the role's policies may have changed since.
    pub(crate) async fn token_after_denial(
        &self,
        denied: &Arc<Token>,
        reading: &Reading<'_>,
    ) -> Result<Option<Arc<Token>>, Error> {
        let mut login = self.login.lock().await;
        match &login.token {
            Some(current) if !Arc::ptr_eq(current, denied) => {
                let current = Arc::clone(current);
                drop(login);
                self.discard(denied, reading).await;
                return Ok(Some(current));
            }
            _ if denied.since >= reading.began => return Ok(None),
            _ => {}
        }
        let now = self.clock.now();
        let last = login.tried.map_or(denied.since, |tried| tried.max(denied.since));
        let is_old = now.saturating_duration_since(last) >= LOGIN_AFTER_DENIAL;
        if !is_old {
            let known = |at: Option<Instant>| at.is_some_and(|at| at >= reading.began);
            if known(login.confirmed) || known(login.tried) {
                return Ok(None);
            }
        }
        if !is_old || (self.is_kept() && denied.owns()) {
            let is_alive = reading.vault.knows(denied.secret()).await;
            if is_alive && !is_old {
                login.confirmed = Some(now);
                return Ok(None);
            }
            if !is_alive {
                // nor is there what was issued to it
                self.bury(denied);
            }
        }
        login.tried = Some(now);
        let token = self.log_in(&mut login, reading).await?;
        drop(login);
        self.discard(denied, reading).await;
        Ok(Some(token))
    }

    /// Revokes a token that was replaced and would live on unused: not so where something would go with it, or someone uses
    /// it yet, who may have something issued to it and discards it then.
    async fn discard(&self, replaced: &Arc<Token>, reading: &Reading<'_>) {
        if !replaced.is_dead() && !replaced.owns() && self.let_go(replaced) {
            replaced.note_death();
            // should this fail, it ends by its TTL
            let _ = reading.vault.revoke(replaced.secret()).await;
        }
    }

    /// What to do about a denial to a good token.
    pub(crate) fn advice_on_denial(&self, request: &Request) -> String {
        let (path, role, capability) = (&request.path, &self.key.role, request.method.capability());
        format!("Add to a policy of role {role:?}: path {path:?} {{ capabilities = [{capability:?}] }}")
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(crate) fn key(&self) -> &SessionKey {
        &self.key
    }

    pub(crate) fn pod(&self) -> Option<&Pod> {
        self.key.identity.pod.as_ref()
    }

    /// The pod's name, for the log.
    pub(crate) fn pod_name(&self) -> &str {
        self.pod().map_or("", |pod| &pod.name)
    }

    /// The tokens that may be alive.
    pub(crate) fn tokens(&self) -> Vec<Arc<Token>> {
        let mut holdings = self.holdings();
        holdings.forget_over(self.clock.now());
        holdings.tokens.clone()
    }

    /// How many leases it holds.
    pub(crate) fn leases(&self) -> usize {
        self.holdings().answers.iter().filter(|held| held.is_lease()).count()
    }

    /// Whether it was made by this process, at or after a moment.
    pub(crate) fn is_made_since(&self, moment: Instant) -> bool {
        self.made.is_some_and(|made| made >= moment)
    }

    /// Whether what is issued to it is kept, renewed and revoked: the end of its pod must be known.
    pub(crate) fn is_kept(&self) -> bool {
        self.key.identity.pod.is_some() && self.keeping.as_ref().is_some_and(|keeping| keeping.is_on())
    }

    pub(super) fn holdings(&self) -> MutexGuard<'_, Holdings> {
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a token, stored before anything is issued to it.
    fn note_login(&self, token: &Arc<Token>) {
        if token.is_reusable() {
            self.holdings().add_token(Arc::clone(token), self.clock.now());
            self.store_changes();
        }
    }

    /// Has the store told, and the keeper look, soon.
    fn note_change(&self, holdings: &mut Holdings) {
        holdings.changed = true;
        if let Some(keeping) = self.keeping.as_ref().filter(|_| self.is_kept()) {
            keeping.changed.notify_one();
        }
    }

    /// Forgets a token that Vault knows no more, and what was issued to it.
    pub(crate) fn bury(&self, token: &Arc<Token>) {
        let mut holdings = self.holdings();
        holdings.bury(token);
        self.note_change(&mut holdings);
    }

    /// Drops a token that was replaced, unless someone uses it beside the caller; true where it was dropped.
    fn let_go(&self, token: &Arc<Token>) -> bool {
        let mut holdings = self.holdings();
        let listed = holdings.tokens.iter().filter(|other| Arc::ptr_eq(other, token)).count();
        let unused = Arc::strong_count(token) == 1 + listed;
        if unused {
            holdings.tokens.retain(|other| !Arc::ptr_eq(other, token));
            holdings.changed = true;
        }
        unused
    }

    /// Whether it can go for want of room: nobody uses it, and no pod loses by it, not even one whose leases were kept before
    /// its end would go unnoticed.
    fn may_leave(self: &Arc<Self>, now: Instant) -> bool {
        let holdings = self.holdings();
        let is_needed = if self.is_kept() { holdings.has_issued(now) } else { holdings.has_leases(now) };
        Arc::strong_count(self) == 1 && !is_needed
    }

    /// Sorts sessions by who has to leave first.
    fn leaves_before(&self, used: Instant, now: Instant) -> (bool, bool, Instant) {
        let holdings = self.holdings();
        let owns = holdings.has_issued(now);
        match holdings.tokens.last().and_then(|token| token.lifetime()) {
            Some(lifetime) if lifetime.is_over(now) => (owns, false, lifetime.until),
            _ => (owns, true, used),
        }
    }
}

#[cfg(test)]
mod tests;
