//! The pace of renewals. What Vault grants for seconds is renewed for ever, so that the renewals of
//! one namespace must not take all time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two renewals of one namespace, in the long run.
const INTERVAL: Duration = Duration::from_millis(20);

/// Renewals of one namespace that may come together, for example after a restart.
const BURST: u32 = 500;

/// Paces the renewals of each namespace.
#[derive(Default)]
pub(crate) struct RenewalPace {
    /// When a namespace has its whole burst again, if nothing more is renewed.
    full_at: Mutex<HashMap<String, Instant>>,
}

impl RenewalPace {
    /// Takes the next turn of a namespace. Returns how long to wait for it.
    pub(super) fn turn(&self, namespace: &str, now: Instant) -> Duration {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        full_at.retain(|_, at| *at > now);
        let at = full_at.get(namespace).copied().unwrap_or(now) + INTERVAL;
        full_at.insert(namespace.to_owned(), at);
        at.saturating_duration_since(now + INTERVAL * BURST)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{BURST, INTERVAL, RenewalPace};

    #[test]
    fn a_burst_is_followed_by_a_steady_pace_of_each_namespace() {
        let (pace, now) = (RenewalPace::default(), Instant::now());
        let waits: Vec<Duration> = (0..BURST + 3).map(|_| pace.turn("greedy", now)).collect();
        assert!(waits[..BURST as usize].iter().all(Duration::is_zero));
        assert_eq!(waits[BURST as usize..], [INTERVAL, INTERVAL * 2, INTERVAL * 3]);
        assert_eq!(pace.turn("other", now), Duration::ZERO);
        assert_eq!(pace.turn("greedy", now + INTERVAL * (2 * BURST)), Duration::ZERO);
    }
}
