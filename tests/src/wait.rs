//! Waits for a state, never for a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The longest that a test waits for a state. Generous: it measures nothing.
pub const CEILING: Duration = Duration::from_secs(60);

/// Calls `probe` again and again until it returns a value.
///
/// # Panics
/// With `what`, after [`CEILING`].
pub async fn until<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(CEILING, what, probe).await
}

/// Calls `probe` again and again until it returns true.
///
/// # Panics
/// With `what`, after [`CEILING`].
pub async fn until_true(what: &str, probe: impl AsyncFnMut() -> bool) {
    until_true_within(CEILING, what, probe).await;
}

/// Does the same as [`until_true`] with another ceiling, for what is slow by design.
///
/// # Panics
/// With `what`, after `ceiling`.
pub async fn until_true_within(ceiling: Duration, what: &str, mut probe: impl AsyncFnMut() -> bool) {
    until_within(ceiling, what, async || probe().await.then_some(())).await;
}

async fn until_within<T>(ceiling: Duration, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + ceiling;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {ceiling:?} in vain for: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
