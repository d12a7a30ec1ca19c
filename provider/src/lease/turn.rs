//! Limits for background requests to Vault. A retry has a longer timeout, and never delays a first
//! try.

use std::time::Duration;

use coffer_vault::{Vault, VaultNamespace};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::lifetime::Attempt;

/// Timeout of a request in a first try.
const FIRST_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of a request in a retry.
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// The permission to send a background request, until dropped.
pub(super) struct BackgroundTurn<'a> {
    /// The client, with the deadline for the request.
    pub(super) vault: Vault<'a>,
    _permit: Option<SemaphorePermit<'a>>,
}

/// Waits for a permit: a first try for one of `first_tries`, a retry for one of the target's
/// retries. The timeout of the request begins after the wait.
pub(super) async fn turn<'a>(
    attempt: Attempt,
    first_tries: &'a Semaphore,
    vault: VaultNamespace<'a>,
) -> BackgroundTurn<'a> {
    let (turns, timeout) = match attempt {
        Attempt::First => (first_tries, FIRST_TIMEOUT),
        Attempt::Retry => (&vault.target.limits.retries, RETRY_TIMEOUT),
    };
    let permit = turns.acquire().await.ok();
    BackgroundTurn { vault: vault.until(Instant::now() + timeout), _permit: permit }
}
