//! Identity and Vault target become a token: log in, keep, log in anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::metrics::{Metrics, TokenSource};
use crate::plan::{Method, Request};
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

/// What a login needs beside the session: Vault, and a service account token.
pub(crate) struct Login<'a> {
    pub(crate) vault: Vault<'a>,
    /// When the read began; a token since then is of this read.
    pub(crate) began: Instant,
    pub(crate) tokens: &'a BTreeMap<String, Secret>,
    /// Audience of the driver's tokens where the class names none.
    pub(crate) default_audience: &'a str,
    pub(crate) minter: &'a dyn TokenMinter,
    pub(crate) metrics: &'a Metrics,
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
    pub(crate) async fn token(&self, login: &Login<'_>) -> Result<Arc<Token>, Error> {
        let mut kept = self.kept.lock().await;
        if let Some(token) = kept.token.as_ref().filter(|token| token.is_good(self.clock.now())) {
            login.metrics.token(TokenSource::Kept);
            return Ok(Arc::clone(token));
        }
        self.log_in(&mut kept, login).await
    }

    /// Another token after Vault denied `denied` a request, where another one may do better: Vault knows it no
    /// more, or it is old enough that the role's policies may have changed since.
    pub(crate) async fn token_after_denial(
        &self,
        denied: &Arc<Token>,
        login: &Login<'_>,
    ) -> Result<Option<Arc<Token>>, Error> {
        let mut kept = self.kept.lock().await;
        match &kept.token {
            Some(current) if !Arc::ptr_eq(current, denied) => return Ok(Some(Arc::clone(current))),
            _ if denied.since >= login.began => return Ok(None),
            _ => {}
        }
        let now = self.clock.now();
        let is_old = now.duration_since(denied.since) >= LOGIN_AFTER_DENIAL;
        if !is_old {
            let confirmed = kept.confirmed.is_some_and(|at| at >= login.began);
            if confirmed || login.vault.knows(&denied.secret).await {
                kept.confirmed = Some(now);
                return Ok(None);
            }
        }
        let token = self.log_in(&mut kept, login).await?;
        if is_old && !denied.owns.load(Ordering::Relaxed) {
            // it would live on unused; should this fail, it ends by its TTL
            let _ = login.vault.revoke(&denied.secret).await;
        }
        Ok(Some(token))
    }

    /// What to do about a denial to a good token.
    pub(crate) fn advice_on_denial(&self, request: &Request) -> String {
        let capability = match request.method {
            Method::Get => "read",
            Method::List => "list",
            Method::Post | Method::Put => "update",
        };
        format!("Allow {capability:?} on {:?} in a policy of role {:?}", request.path, self.key.role)
    }

    async fn log_in(&self, kept: &mut Kept, login: &Login<'_>) -> Result<Arc<Token>, Error> {
        let SessionKey { role, auth_mount, .. } = &self.key;
        let jwt = self.service_account_token(login).await?;
        let since = self.clock.now();
        let answer = login.vault.login(auth_mount, role, &jwt).await;
        login.metrics.login(answer.is_ok());
        let answer = answer.map_err(|failure| self.login_error(failure))?;
        login.metrics.token(TokenSource::Login);
        let until = match (answer.ttl, answer.uses) {
            (_, 1..) => Some(since),
            (ttl, 0) => ttl.map(|ttl| since + ttl - margin(ttl)),
        };
        let token = Arc::new(Token { secret: answer.token, since, until, owns: AtomicBool::new(false) });
        *kept = Kept { token: Some(Arc::clone(&token)), confirmed: None };
        *self.expires.lock().unwrap_or_else(PoisonError::into_inner) = until;
        Ok(token)
    }

    /// The driver's token for the audience, else one that is minted.
    async fn service_account_token(&self, login: &Login<'_>) -> Result<Secret, Error> {
        let audience = self.key.audience.as_deref();
        let sent = login
            .tokens
            .get(audience.unwrap_or(login.default_audience))
            // the API server's default audience is what would be minted
            .or_else(|| login.tokens.get("").filter(|_| audience.is_none()));
        match sent {
            Some(token) => Ok(token.clone()),
            None => login.minter.mint(&self.key.identity, audience).await,
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
            "Check that role {role:?} exists at auth/{auth_mount} and is bound to this service account, namespace and audience"
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
