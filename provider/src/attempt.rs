//! What is tried in the background, first or again: a later try has more time, and holds up no first one.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::vault::Vault;

/// The time for one request, of a first try and of a later one.
const FIRST: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_secs(30);

/// Whether it is the first try, or failed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    First,
    Again,
}

/// A turn to make one request, until it is dropped.
pub(crate) struct Turn<'a> {
    /// Vault, with the time for that.
    pub(crate) vault: Vault<'a>,
    _permit: Option<SemaphorePermit<'a>>,
}

impl Attempt {
    /// Waits for a turn: a first try's is one of `first`, a later one's of those that failed before.
    pub(crate) async fn turn<'a>(self, first: &'a Semaphore, vault: Vault<'a>) -> Turn<'a> {
        let (turns, time) = match self {
            Self::First => (first, FIRST),
            Self::Again => (&vault.target.limits.retries, AGAIN),
        };
        let permit = turns.acquire().await.ok();
        Turn { vault: Vault { deadline: Instant::now() + time, ..vault }, _permit: permit }
    }
}
