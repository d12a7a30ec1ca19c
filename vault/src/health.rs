//! What a server says without credentials: its health, and whether an auth method is there.

use serde::Deserialize;

use crate::client::{Sending, Vault};
use crate::refusal::Confidential;
use crate::repeat::Twice;
use crate::{Failure, FailureKind, Request, RequestKind, Secret};

/// The role and the token of a login that nobody can make.
const NOBODY: &str = "coffer-doctor";

/// The health of a server
/// (<https://developer.hashicorp.com/vault/api-docs/system/health#read-health-information>).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServerHealth {
    /// Whether the server has been initialized.
    pub initialized: bool,
    /// Whether the server is sealed.
    pub sealed: bool,
    /// The server's version, such as `1.18.2`; OpenBao's begins with 2.
    #[serde(default)]
    pub version: String,
}

/// Whether an auth method is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethodPresence {
    /// Logins are answered there: the role of the login does not exist.
    Present,
    /// Vault knows no login at the path.
    Absent,
}

impl Vault<'_> {
    /// Asks for the server's health. Sealed servers, standbys and servers that are not initialized
    /// answer too.
    ///
    /// # Errors
    /// [`Failure`], also if the answer is none of Vault's.
    pub async fn health(&self) -> Result<ServerHealth, Failure> {
        let codes = ["drsecondarycode", "performancestandbycode", "sealedcode", "standbycode", "uninitcode"];
        let query = codes.map(|code| (code.to_owned(), "200".to_owned())).into();
        let request = Request { query, ..Request::get("sys/health") };
        let confidential = Confidential { secrets: &[], arguments: None };
        let sending = Sending { kind: RequestKind::Lookup, request: &request, token: None, confidential };
        let answer = self.send_with_retries(&sending, Twice::Nothing).await?;
        serde_json::from_slice(answer.body().expose())
            .map_err(|_| Failure::NotVault("an answer of sys/health without a health".to_owned()))
    }

    /// Finds out whether an auth method for service accounts is at `auth/<mount>`, by a login with a
    /// role that does not exist, which Vault refuses as a bad request.
    ///
    /// # Errors
    /// [`Failure`], if the answer says neither.
    pub async fn auth_method(&self, mount: &str) -> Result<AuthMethodPresence, Failure> {
        match self.login(mount, NOBODY, &Secret::from(NOBODY)).await {
            Ok(_) => Ok(AuthMethodPresence::Present),
            Err(failure) if failure.classify() == FailureKind::BadRequest => Ok(AuthMethodPresence::Present),
            // Vault answers 403 where no method is, OpenBao 404 or 405
            Err(Failure::Refused(refusal)) if matches!(refusal.status, 403..=405) && refusal.is_vaults => {
                Ok(AuthMethodPresence::Absent)
            }
            Err(failure) => Err(failure),
        }
    }
}
