//! Limits for background requests to Vault. A retry has a longer timeout, and never delays a first
//! try.

use std::time::Duration;

use coffer_shares::{Priority, Share, Shares};
use coffer_vault::{Vault, VaultNamespace};
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
    _turn: Option<Share>,
}

/// Waits for a turn: a first try for one of `first_tries`, a retry for one of the target's
/// retries. The timeout of the request begins after the wait.
pub(super) async fn turn<'a>(
    attempt: Attempt,
    first_tries: &Shares,
    vault: VaultNamespace<'a>,
) -> BackgroundTurn<'a> {
    let (turns, timeout) = match attempt {
        Attempt::First => (first_tries, FIRST_TIMEOUT),
        Attempt::Retry => (&vault.target.limits.retries, RETRY_TIMEOUT),
    };
    let turn = turns.take(vault.tenant, 1, Priority::Reserved).await.ok();
    BackgroundTurn { vault: vault.until(Instant::now() + timeout), _turn: turn }
}
