//! Waiting for a state, never for a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long any awaited state may take before the test is called stuck. Generous: it is no measurement.
pub const CEILING: Duration = Duration::from_secs(60);

/// Asks `probe` again and again until it has something to tell.
///
/// # Panics
/// With `what`, when [`CEILING`] has passed.
pub async fn until<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(CEILING, what, probe).await
}

/// [`until`], for what takes its time by design.
///
/// # Panics
/// With `what`, when `ceiling` has passed.
pub async fn until_within<T>(ceiling: Duration, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + ceiling;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {ceiling:?} in vain for: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
