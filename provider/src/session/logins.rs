//! Logins at Vault, and the Vault tokens of a session.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coffer_vault::{Failure, Refusal, Secret, Vault};

use super::SessionKey;
use super::audience::ForeignServer;
use super::changes::Changes;
use super::token::{Token, UsedToken};
use crate::memory::TenantMemory;
use crate::metrics::{ReadMetrics, TokenSource};
use crate::request::TokenMinter;
use crate::vault_error::error_of;
use crate::{Clock, Error, ErrorKind};

/// Minimum time between two logins because of denials. A policy that was added to the role takes
/// effect only for tokens of new logins.
const LOGIN_AFTER_DENIAL: Duration = Duration::from_secs(60);

/// The tokens of one session.
pub(crate) struct Logins {
    /// Locked during a login, so that one login serves all reads that wait.
    state: tokio::sync::Mutex<LoginState>,
    /// Tokens that Vault may know, the newest last.
    tokens: Mutex<Vec<Arc<Token>>>,
    memory: TenantMemory,
    changes: Arc<Changes>,
}

/// The current token, and the results of the last lookup and login.
#[derive(Default)]
struct LoginState {
    /// The token of the last login.
    token: Option<Arc<Token>>,
    /// When a lookup after a denial last confirmed that Vault knows the token.
    confirmed: Option<Instant>,
    /// When a denial last led to a login, successful or not.
    tried: Option<Instant>,
    /// Start and error of the last login, if that login failed.
    failed: Option<(Instant, Error)>,
}

/// The parameters of a login for one read.
#[derive(Clone, Copy)]
pub(crate) struct LoginContext<'a> {
    pub(crate) key: &'a SessionKey,
    pub(crate) vault: Vault<'a>,
    /// When the read began.
    pub(crate) began: Instant,
    /// Service account tokens that the driver sent along, by audience.
    pub(crate) service_account_tokens: &'a BTreeMap<String, Secret>,
    /// Audience of the driver's tokens if the class names none.
    pub(crate) default_audience: &'a str,
    /// File of the process's own service account token.
    pub(crate) own_token: Option<&'a Path>,
    pub(crate) minter: &'a dyn TokenMinter,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) metrics: &'a ReadMetrics,
    /// Whether the lease manager renews the token.
    pub(crate) renewed: bool,
}

/// The purpose of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenNeed {
    /// A request that issues nothing.
    Read,
    /// A request that may issue something. A lease ends with its token, so the token must not be
    /// near its end.
    Issue,
}

impl Logins {
    pub(super) fn new(tokens: Vec<Arc<Token>>, memory: TenantMemory, changes: Arc<Changes>) -> Self {
        let state = LoginState { token: tokens.last().cloned(), ..LoginState::default() };
        Self { state: tokio::sync::Mutex::new(state), tokens: Mutex::new(tokens), memory, changes }
    }

    /// Returns the current token if the token serves the need, else the token of a new login.
    ///
    /// # Errors
    /// [`Error`], if there is no service account token or the login fails.
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

    /// Returns a token other than `denied` after Vault denied a request. Returns none if another
    /// token would not help: Vault still knows `denied`, and the last login is too recent for
    /// changes of the role's policies.
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

    /// Returns whether to log in again after Vault denied a request of the current token.
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

    /// Revokes a replaced token. Does nothing if the token owns leases or is still in use. The last
    /// user calls this function too.
    async fn revoke_replaced(&self, replaced: &UsedToken, login: &LoginContext<'_>) {
        let is_in_use = replaced.users.count() > 1;
        if replaced.is_gone() || replaced.owns_leases() || is_in_use {
            return;
        }
        // after a failure the token is revoked with the others, when the pod is gone
        if login.vault.revoke_token(replaced.secret()).await.is_ok() {
            self.remove_gone(replaced);
        }
    }

    /// Returns the tokens that may be used, the newest last.
    pub(crate) fn living(&self, now: Instant) -> Vec<Arc<Token>> {
        let mut tokens = self.revocable(now);
        tokens.retain(|token| !token.is_over(now));
        tokens
    }

    /// Returns the tokens that Vault may know, the newest last: those that may be used, and those
    /// that ended unless Vault granted a renewal whose answer was lost.
    pub(crate) fn revocable(&self, now: Instant) -> Vec<Arc<Token>> {
        let mut tokens = self.tokens();
        tokens.retain(|token| token.may_last(now));
        tokens.clone()
    }

    /// Returns the memory that is charged for tokens, in bytes.
    pub(super) fn charged_bytes(&self) -> usize {
        self.tokens().iter().map(|token| token.charged_bytes()).sum()
    }

    /// Returns whether a valid token owns leases.
    pub(super) fn own_leases(&self, now: Instant) -> bool {
        self.tokens().iter().any(|token| token.owns_leases() && !token.is_over(now))
    }

    /// Returns when the newest token ends; none if there is no token or the token never ends.
    pub(super) fn newest_end(&self) -> Option<Instant> {
        self.tokens().last()?.lifetime().map(|lifetime| lifetime.until)
    }

    /// Removes a token that Vault does not know any more. The leases of the token end too.
    pub(crate) fn remove_gone(&self, token: &Arc<Token>) {
        token.note_gone();
        self.tokens().retain(|other| !Arc::ptr_eq(other, token));
        self.changes.note();
    }

    async fn log_in(&self, state: &mut LoginState, login: &LoginContext<'_>) -> Result<UsedToken, Error> {
        // a failed login also serves all reads that waited
        if let Some((began, error)) = &state.failed
            && *began >= login.began
        {
            return Err(error.clone());
        }
        let began = login.clock.now();
        match login.token(&self.memory).await {
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
            tokens.retain(|token| token.may_last(now));
            tokens.push(Arc::clone(token));
            self.changes.note_urgent();
        }
    }

    fn tokens(&self) -> MutexGuard<'_, Vec<Arc<Token>>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LoginContext<'_> {
    /// Logs in, and returns the token.
    async fn token(&self, memory: &TenantMemory) -> Result<Token, Error> {
        let jwt = self.service_account_token().await?;
        let asked = self.clock.now();
        let answer = self.vault.login(&self.key.auth_mount, &self.key.role, &jwt).await;
        self.metrics.login(answer.is_ok());
        let answer = answer.map_err(|failure| self.login_error(failure))?;
        self.metrics.token(TokenSource::Login);
        let memory = memory.take(answer.token.len()).ok_or_else(|| memory.used_up())?;
        Ok(Token::of_login(answer, asked, self.renewed, memory))
    }

    /// Returns the driver's service account token for the audience, else a minted one. A server that
    /// is not the operator's gets no token of the cluster's own audience.
    async fn service_account_token(&self) -> Result<Secret, Error> {
        let (sent, audience) = (self.service_account_tokens, self.key.audience.as_deref());
        let wanted = audience.unwrap_or(self.default_audience);
        let target = self.vault.target();
        let foreign = ForeignServer { address: &target.target.address, own_token: self.own_token };
        let foreign = Some(foreign).filter(|_| !target.is_operators);
        if let Some(token) = sent.get(wanted) {
            foreign.map_or(Ok(()), |foreign| foreign.check_sent(token, wanted))?;
            return Ok(token.clone());
        }
        let Some(foreign) = foreign else {
            // a minted token would have the API server's default audience too
            return match sent.get("").filter(|_| audience.is_none()) {
                Some(token) => Ok(token.clone()),
                None => self.minter.mint(&self.key.identity, audience).await,
            };
        };
        let audience = audience.ok_or_else(|| foreign.without_audience())?;
        foreign.check_audience(audience)?;
        let token = self.minter.mint(&self.key.identity, Some(audience)).await?;
        foreign.check_minted(&token, audience)?;
        Ok(token)
    }

    fn login_error(&self, failure: Failure) -> Error {
        let SessionKey { role, auth_mount, identity, .. } = self.key;
        let is_refused = match &failure {
            // not Vault: it always says why
            Failure::Refused(Refusal { status: 400, words: None, .. }) => false,
            Failure::Refused(Refusal { status, .. }) => matches!(status, 400..=411 | 413..=428),
            _ => false,
        };
        let cause = error_of(failure, self.vault.target());
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
