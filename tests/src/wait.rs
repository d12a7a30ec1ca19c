//! Waiting for a state, never for a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The longest that an awaited state may take before the test fails. Generous: it measures nothing.
pub const CEILING: Duration = Duration::from_secs(60);

/// Calls `probe` again and again until it returns a value.
///
/// # Panics
/// With `what`, when [`CEILING`] has passed.
pub async fn until<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(CEILING, what, probe).await
}

/// Calls `probe` again and again until it returns true.
///
/// # Panics
/// With `what`, when [`CEILING`] has passed.
pub async fn until_true(what: &str, probe: impl AsyncFnMut() -> bool) {
    until_true_within(CEILING, what, probe).await;
}

/// Does the same as [`until_true`] with another ceiling, for what takes its time by design.
///
/// # Panics
/// With `what`, when `ceiling` has passed.
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
