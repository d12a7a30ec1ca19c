//! Turns for requests in the background: what failed before has more time, and holds up no first try.

use std::time::Duration;

use coffer_vault::{Vault, VaultNamespace};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::lifetime::Attempt;

/// The time for one request of a first try.
const FIRST_TIMEOUT: Duration = Duration::from_secs(10);

/// The time for one request of a later try.
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// A turn to make one request, until dropped.
pub(super) struct BackgroundTurn<'a> {
    /// Vault, with the time for the request.
    pub(super) vault: Vault<'a>,
    _permit: Option<SemaphorePermit<'a>>,
}

/// Waits for a turn. A first try has one of `first_tries`, a later one of those for what failed before. The time
/// for the request begins with the turn.
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
