//! Identity and Vault target become a token: log in, keep, log in anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::metrics::TokenSource;
use crate::plan::Request;
use crate::render::Earlier;
use crate::request::{Identity, TokenMinter};
use crate::vault::{Failure, Target, Vault};
use crate::{Clock, Error, ErrorKind, Secret};

/// Everything that Vault could have decided on. What is not in here cannot have influenced an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

/// The sessions of all identities, as many as there is room for.
pub(crate) struct Sessions {
    capacity: usize,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<SessionKey, (Arc<Session>, Instant)>>,
}

/// One identity at one target: its token, and what is remembered between its reads.
pub(crate) struct Session {
    key: SessionKey,
    clock: Arc<dyn Clock>,
    /// Held over a login, so that one login serves all who wait.
    kept: tokio::sync::Mutex<Kept>,
    /// When the kept token ends; a copy that can be read without waiting.
    expires: Mutex<Option<Instant>>,
    served: AtomicBool,
    pub(crate) earlier: Earlier,
}

#[derive(Default)]
struct Kept {
    token: Option<Arc<Token>>,
    /// When Vault last confirmed, after a denial, that the token is alive.
    confirmed: Option<Instant>,
    /// When a denial last led to a login, a failed one too.
    tried: Option<Instant>,
}

/// A Vault token.
pub(crate) struct Token {
    secret: Secret,
    since: Instant,
    /// From when on it is not used any more.
    until: Option<Instant>,
    /// Whether something was issued to it that would be revoked with it.
    owns: AtomicBool,
}

/// One read in progress: Vault, and what a login needs should the read come to one.
pub(crate) struct Reading<'a> {
    pub(crate) vault: Vault<'a>,
    /// When the read began; a token since then is of this read.
    pub(crate) began: Instant,
    pub(crate) tokens: &'a BTreeMap<String, Secret>,
    /// Audience of the driver's tokens where the class names none.
    pub(crate) default_audience: &'a str,
    pub(crate) minter: &'a dyn TokenMinter,
}

impl Sessions {
    pub(crate) fn new(capacity: usize, clock: Arc<dyn Clock>) -> Self {
        Self { capacity: capacity.max(1), clock, known: Mutex::default() }
    }

    /// The session of a key, and how many there are now. Where there is no room, the one goes whose token
    /// expired first, else the one that was used longest ago.
    pub(crate) fn session(&self, key: SessionKey) -> (Arc<Session>, usize) {
        let now = self.clock.now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((session, used)) = known.get_mut(&key) {
            *used = now;
            let session = Arc::clone(session);
            return (session, known.len());
        }
        if known.len() >= self.capacity {
            let first = known.iter().min_by_key(|(_, (session, used))| session.leaves_before(*used, now));
            if let Some(key) = first.map(|(key, _)| key.clone()) {
                known.remove(&key);
            }
        }
        let session = Arc::new(Session {
            key: key.clone(),
            clock: Arc::clone(&self.clock),
            kept: tokio::sync::Mutex::default(),
            expires: Mutex::default(),
            served: AtomicBool::new(false),
            earlier: Earlier::default(),
        });
        known.insert(key, (Arc::clone(&session), now));
        (session, known.len())
    }
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
        let mut kept = self.kept.lock().await;
        if let Some(token) = kept.token.as_ref().filter(|token| token.is_good(self.clock.now())) {
            reading.vault.metrics.token(TokenSource::Kept);
            return Ok(Arc::clone(token));
        }
        self.log_in(&mut kept, reading).await
    }

    /// Another token after Vault denied `denied` a request, where another one may do better: Vault knows it no
    /// more, or it is old enough that the role's policies may have changed since.
    pub(crate) async fn token_after_denial(
        &self,
        denied: &Arc<Token>,
        reading: &Reading<'_>,
    ) -> Result<Option<Arc<Token>>, Error> {
        let mut kept = self.kept.lock().await;
        match &kept.token {
            Some(current) if !Arc::ptr_eq(current, denied) => return Ok(Some(Arc::clone(current))),
            _ if denied.since >= reading.began => return Ok(None),
            _ => {}
        }
        let now = self.clock.now();
        let last = kept.tried.map_or(denied.since, |tried| tried.max(denied.since));
        let is_old = now.saturating_duration_since(last) >= LOGIN_AFTER_DENIAL;
        if !is_old {
            let known = |at: Option<Instant>| at.is_some_and(|at| at >= reading.began);
            if known(kept.confirmed) || known(kept.tried) {
                return Ok(None);
            }
            if reading.vault.knows(&denied.secret).await {
                kept.confirmed = Some(now);
                return Ok(None);
            }
        }
        kept.tried = Some(now);
        let token = self.log_in(&mut kept, reading).await?;
        // it would live on unused; not so while a request is under way with it, or where something would go with it
        if is_old && Arc::strong_count(denied) == 1 && !denied.owns.load(Ordering::Relaxed) {
            // should this fail, it ends by its TTL
            let _ = reading.vault.revoke(&denied.secret).await;
        }
        Ok(Some(token))
    }

    /// What to do about a denial to a good token.
    pub(crate) fn advice_on_denial(&self, request: &Request) -> String {
        let (path, role, capability) = (&request.path, &self.key.role, request.method.capability());
        format!("Add to a policy of role {role:?}: path {path:?} {{ capabilities = [{capability:?}] }}")
    }

    async fn log_in(&self, kept: &mut Kept, reading: &Reading<'_>) -> Result<Arc<Token>, Error> {
        let SessionKey { role, auth_mount, .. } = &self.key;
        let jwt = self.service_account_token(reading).await?;
        let since = self.clock.now();
        let answer = reading.vault.login(auth_mount, role, &jwt).await;
        reading.vault.metrics.login(answer.is_ok());
        let answer = answer.map_err(|failure| self.login_error(failure))?;
        reading.vault.metrics.token(TokenSource::Login);
        let until = match (answer.ttl, answer.uses) {
            (_, 1..) => Some(since),
            (ttl, 0) => ttl.and_then(|ttl| since.checked_add(ttl - margin(ttl))),
        };
        let token = Arc::new(Token { secret: answer.token, since, until, owns: AtomicBool::new(false) });
        *kept = Kept { token: Some(Arc::clone(&token)), confirmed: None, tried: kept.tried };
        *self.expires.lock().unwrap_or_else(PoisonError::into_inner) = until;
        Ok(token)
    }

    /// The driver's token for the audience, else one that is minted.
    async fn service_account_token(&self, reading: &Reading<'_>) -> Result<Secret, Error> {
        let audience = self.key.audience.as_deref();
        let sent = reading
            .tokens
            .get(audience.unwrap_or(reading.default_audience))
            // the API server's default audience is what would be minted
            .or_else(|| reading.tokens.get("").filter(|_| audience.is_none()));
        match sent {
            Some(token) => Ok(token.clone()),
            None => reading.minter.mint(&self.key.identity, audience).await,
        }
    }

    fn login_error(&self, failure: Failure) -> Error {
        let SessionKey { role, auth_mount, identity, target, .. } = &self.key;
        let refused =
            matches!(&failure, Failure::Refused(refusal) if matches!(refusal.status, 400..=411 | 413..=428));
        let cause = failure.into_error(&target.address.to_string());
        let account = format!("{}/{}", identity.namespace, identity.service_account);
        let error = Error {
            message: format!(
                "login of service account {account} with role {role:?} failed: {}",
                cause.message
            ),
            ..cause
        }
        .with_path(&format!("auth/{auth_mount}/login"));
        if !refused {
            return error;
        }
        Error { kind: ErrorKind::LoginRefused, ..error }.with_advice(format!(
            "Check that role {role:?} exists at auth/{auth_mount} and is bound to this service account, namespace and audience, and that Vault can have tokens reviewed"
        ))
    }

    /// Sorts sessions by who has to leave first.
    fn leaves_before(&self, used: Instant, now: Instant) -> (bool, Instant) {
        let expires = *self.expires.lock().unwrap_or_else(PoisonError::into_inner);
        match expires {
            Some(at) if at <= now => (false, at),
            _ => (true, used),
        }
    }
}

impl Token {
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Notes that something was issued to the token.
    pub(crate) fn note_issue(&self) {
        self.owns.store(true, Ordering::Relaxed);
    }

    fn is_good(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// How long before its end a token is not used any more.
fn margin(ttl: Duration) -> Duration {
    (ttl / 10).min(Duration::from_secs(60))
}

#[cfg(test)]
mod tests;
