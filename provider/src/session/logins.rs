//! Logins at Vault, and the tokens that they brought.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coffer_vault::{Failure, Refusal, Secret, Vault};

use super::SessionKey;
use super::changes::Changes;
use super::token::{Token, UsedToken};
use crate::metrics::{ReadMetrics, TokenSource};
use crate::request::TokenMinter;
use crate::vault_error::error_of;
use crate::{Clock, Error, ErrorKind};

/// How often a denial may lead to a login: a policy that was added to the role takes effect with a login only.
const LOGIN_AFTER_DENIAL: Duration = Duration::from_secs(60);

/// The tokens of one session.
pub(crate) struct Logins {
    /// Held over a login, so that one login serves all who wait.
    state: tokio::sync::Mutex<LoginState>,
    /// Tokens that may live, the newest last.
    tokens: Mutex<Vec<Arc<Token>>>,
    changes: Arc<Changes>,
}

#[derive(Default)]
struct LoginState {
    token: Option<Arc<Token>>,
    /// When Vault last confirmed, after a denial, that it knows the token.
    confirmed: Option<Instant>,
    /// When a denial last led to a login, a failed one too.
    tried: Option<Instant>,
    /// The last login, where it failed, and when it began.
    failed: Option<(Instant, Error)>,
}

/// What a read needs to log in.
#[derive(Clone, Copy)]
pub(crate) struct LoginContext<'a> {
    pub(crate) key: &'a SessionKey,
    pub(crate) vault: Vault<'a>,
    /// When the read began.
    pub(crate) began: Instant,
    /// Service account tokens that the driver sent along, by audience.
    pub(crate) service_account_tokens: &'a BTreeMap<String, Secret>,
    /// Audience of the driver's tokens where the class names none.
    pub(crate) default_audience: &'a str,
    pub(crate) minter: &'a dyn TokenMinter,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) metrics: &'a ReadMetrics,
    /// Whether the lease manager renews the token.
    pub(crate) renewed: bool,
}

/// What a token is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenNeed {
    /// A request that issues nothing.
    Read,
    /// A request that may issue something: that ends with the token, whose own end must not be near.
    Issue,
}

impl Logins {
    pub(super) fn new(tokens: Vec<Arc<Token>>, changes: Arc<Changes>) -> Self {
        let state = LoginState { token: tokens.last().cloned(), ..LoginState::default() };
        Self { state: tokio::sync::Mutex::new(state), tokens: Mutex::new(tokens), changes }
    }

    /// Returns the current token where it serves the need, else that of a login made now.
    ///
    /// # Errors
    /// Why there is no service account token, or why the login failed.
    pub(crate) async fn token(&self, need: TokenNeed, login: &LoginContext<'_>) -> Result<UsedToken, Error> {
        let mut state = self.state.lock().await;
        let now = login.clock.now();
        let serves =
            |token: &Token| token.is_good(now) && (need == TokenNeed::Read || !token.needs_replacement(now));
        if let Some(token) = state.token.as_ref().filter(|token| serves(token)) {
            login.metrics.token(TokenSource::Kept);
            return Ok(token.enter());
        }
        self.log_in(&mut state, login).await
    }

    /// Returns another token after Vault denied `denied` a request, where another one may do better: Vault does
    /// not know `denied` any more, or it is so old that the role's policies may have changed since.
    ///
    /// # Errors
    /// Those of [`Self::token`].
    pub(crate) async fn token_after_denial(
        &self,
        denied: &UsedToken,
        login: &LoginContext<'_>,
    ) -> Result<Option<UsedToken>, Error> {
        let mut state = self.state.lock().await;
        if let Some(current) = state.token.as_ref().filter(|current| !Arc::ptr_eq(current, denied)) {
            let current = current.enter();
            drop(state);
            self.revoke_replaced(denied, login).await;
            return Ok(Some(current));
        }
        let now = login.clock.now();
        if !self.needs_login(denied, &mut state, login, now).await {
            return Ok(None);
        }
        state.tried = Some(now);
        let token = self.log_in(&mut state, login).await?;
        drop(state);
        self.revoke_replaced(denied, login).await;
        Ok(Some(token))
    }

    /// Returns whether a denial of the current token calls for a login.
    async fn needs_login(
        &self,
        denied: &UsedToken,
        state: &mut LoginState,
        login: &LoginContext<'_>,
        now: Instant,
    ) -> bool {
        if denied.asked >= login.began {
            return false;
        }
        let last = state.tried.map_or(denied.asked, |tried| tried.max(denied.asked));
        let is_old = now.saturating_duration_since(last) >= LOGIN_AFTER_DENIAL;
        let in_this_read = |at: Option<Instant>| at.is_some_and(|at| at >= login.began);
        if !is_old && (in_this_read(state.confirmed) || in_this_read(state.tried)) {
            return false;
        }
        if is_old && !(login.renewed && denied.owns_leases()) {
            return true;
        }
        if login.vault.knows_token(denied.secret()).await {
            state.confirmed = Some(now);
            return is_old;
        }
        self.remove_gone(denied);
        true
    }

    /// Revokes a replaced token, so that it does not live on unused. Does nothing if the token owns leases or is
    /// still in use: its last user gets here too.
    async fn revoke_replaced(&self, replaced: &UsedToken, login: &LoginContext<'_>) {
        let is_in_use = replaced.users.count() > 1;
        if replaced.is_gone() || replaced.owns_leases() || is_in_use {
            return;
        }
        self.remove_gone(replaced);
        // should this fail, the token ends by its TTL
        let _ = login.vault.revoke_token(replaced.secret()).await;
    }

    /// Returns the tokens that may live, the newest last.
    pub(crate) fn living(&self, now: Instant) -> Vec<Arc<Token>> {
        let mut tokens = self.tokens();
        tokens.retain(|token| !token.is_over(now));
        tokens.clone()
    }

    /// Returns whether something was issued to a token that lives.
    pub(super) fn own_leases(&self, now: Instant) -> bool {
        self.tokens().iter().any(|token| token.owns_leases() && !token.is_over(now))
    }

    /// Returns when the newest token ends; nothing where there is none, or it never ends.
    pub(super) fn newest_end(&self) -> Option<Instant> {
        self.tokens().last()?.lifetime().map(|lifetime| lifetime.until)
    }

    /// Drops a token that Vault does not know any more, and with it what was issued to the token.
    pub(crate) fn remove_gone(&self, token: &Arc<Token>) {
        token.note_gone();
        self.tokens().retain(|other| !Arc::ptr_eq(other, token));
        self.changes.note();
    }

    async fn log_in(&self, state: &mut LoginState, login: &LoginContext<'_>) -> Result<UsedToken, Error> {
        // one login serves all who wait, also where it fails
        if let Some((began, error)) = &state.failed
            && *began >= login.began
        {
            return Err(error.clone());
        }
        let began = login.clock.now();
        match login.token().await {
            Ok(token) => {
                let token = Arc::new(token);
                *state =
                    LoginState { token: Some(Arc::clone(&token)), tried: state.tried, ..Default::default() };
                self.add(&token, login.clock.now());
                Ok(token.enter())
            }
            Err(error) => {
                state.failed = Some((began, error.clone()));
                Err(error)
            }
        }
    }

    fn add(&self, token: &Arc<Token>, now: Instant) {
        if token.is_reusable() {
            let mut tokens = self.tokens();
            tokens.retain(|token| !token.is_over(now));
            tokens.push(Arc::clone(token));
            self.changes.note();
        }
    }

    fn tokens(&self) -> MutexGuard<'_, Vec<Arc<Token>>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LoginContext<'_> {
    /// Logs in.
    async fn token(&self) -> Result<Token, Error> {
        let jwt = self.service_account_token().await?;
        let asked = self.clock.now();
        let answer = self.vault.login(&self.key.auth_mount, &self.key.role, &jwt).await;
        self.metrics.login(answer.is_ok());
        let answer = answer.map_err(|failure| self.login_error(failure))?;
        self.metrics.token(TokenSource::Login);
        Ok(Token::of_login(answer, asked, self.renewed))
    }

    /// Returns the driver's token for the audience, else one that is minted.
    async fn service_account_token(&self) -> Result<Secret, Error> {
        let (sent, audience) = (self.service_account_tokens, self.key.audience.as_deref());
        let token = sent.get(audience.unwrap_or(self.default_audience)).or_else(|| {
            // the API server's default audience is what would be minted
            sent.get("").filter(|_| audience.is_none())
        });
        match token {
            Some(token) => Ok(token.clone()),
            None => self.minter.mint(&self.key.identity, audience).await,
        }
    }

    fn login_error(&self, failure: Failure) -> Error {
        let SessionKey { role, auth_mount, identity, target, .. } = self.key;
        let is_refused = matches!(&failure, Failure::Refused(Refusal { status: 400..=411 | 413..=428, .. }));
        let cause = error_of(failure, &target.address);
        let account = format!("{}/{}", identity.namespace, identity.service_account);
        let message =
            format!("login of service account {account} with role {role:?} failed: {}", cause.message);
        let error = Error { message, ..cause }.with_path(&format!("auth/{auth_mount}/login"));
        if !is_refused {
            return error;
        }
        Error { kind: ErrorKind::LoginRefused, ..error }.with_advice(format!(
            "Check that role {role:?} exists at auth/{auth_mount} and is bound to this service account, \
             namespace and audience, and that Vault can have tokens reviewed"
        ))
    }
}
