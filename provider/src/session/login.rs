//! The login at Vault, and what is said where it fails.

use std::sync::Arc;

use super::{LoginState, Reading, Session, SessionKey, Token};
use crate::metrics::TokenSource;
use crate::vault::Failure;
use crate::{Error, ErrorKind, Secret};

impl Session {
    /// Logs in, and keeps the token.
    pub(super) async fn log_in(
        &self,
        login: &mut LoginState,
        reading: &Reading<'_>,
    ) -> Result<Arc<Token>, Error> {
        // one login serves all who wait, one that fails too
        if let Some((begun, error)) = &login.failed
            && *begun >= reading.began
        {
            return Err(error.clone());
        }
        let begun = self.clock.now();
        let token = self.log_in_now(login, reading).await;
        login.failed = token.as_ref().err().map(|error| (begun, error.clone()));
        token
    }

    async fn log_in_now(&self, login: &mut LoginState, reading: &Reading<'_>) -> Result<Arc<Token>, Error> {
        let SessionKey { role, auth_mount, .. } = &self.key;
        let jwt = self.service_account_token(reading).await?;
        let since = self.clock.now();
        let answer = reading.vault.login(auth_mount, role, &jwt).await;
        reading.vault.metrics.login(answer.is_ok());
        let answer = answer.map_err(|failure| self.login_error(failure))?;
        reading.vault.metrics.token(TokenSource::Login);
        let token = Arc::new(Token::of_login(answer, since, self.is_kept()));
        *login = LoginState { token: Some(Arc::clone(&token)), tried: login.tried, ..LoginState::default() };
        self.note_login(&token);
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
}
