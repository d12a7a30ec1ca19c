//! Examines a Vault without credentials.

use std::sync::Arc;

use coffer_vault::{AuthMethodPresence, HeavyTurn, ServerHealth, Target, VaultNamespace};
use tokio::time::Instant;

use super::Provider;
use crate::Error;
use crate::vault_error::error_of;

/// What a Vault says without credentials.
#[derive(Debug)]
pub struct VaultExamination {
    /// The server's health.
    pub health: ServerHealth,
    /// Whether the auth method is there, if the server could be asked: it has to be unsealed.
    pub auth_method: Option<Result<AuthMethodPresence, Error>>,
}

impl Provider {
    /// Asks a server for its health, and whether an auth method is at a path of a Vault namespace.
    ///
    /// # Errors
    /// [`Error`], if the server does not answer as Vault does.
    pub async fn examine_vault(
        &self,
        target: &Target,
        (namespace, auth_mount): (Option<&str>, &str),
        deadline: Instant,
    ) -> Result<VaultExamination, Error> {
        let handle = self.background.targets.handle(target, "")?;
        let turn = Arc::new(HeavyTurn::default());
        // Vault serves sys/health in the root namespace only
        let root = VaultNamespace { target: &handle, namespace: None, tenant: "", turn: &turn };
        let failed = |failure| error_of(failure, &handle);
        let health = root.until(deadline).health().await.map_err(failed)?;
        let auth_method = if health.initialized && !health.sealed {
            let at = VaultNamespace { namespace, ..root };
            Some(at.until(deadline).auth_method(auth_mount).await.map_err(failed))
        } else {
            None
        };
        Ok(VaultExamination { health, auth_method })
    }
}
