//! `VAULT_RATE_LIMIT`: a token bucket, as in Vault's own client.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::RateLimit;

/// A token bucket that allows requests at a steady rate, and a burst after a time without requests.
pub(crate) struct RateLimiter {
    interval: Duration,
    burst: u32,
    /// When the bucket is full again if no request is made.
    full_at: Mutex<Instant>,
}

impl RateLimiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let interval = Duration::from_secs_f64((1.0 / limit.per_second).min(3600.0));
        Self { interval, burst: limit.burst, full_at: Mutex::new(Instant::now()) }
    }

    /// Waits until the next request is allowed. Returns false at once, and takes no turn, if that
    /// is after the deadline.
    pub(crate) async fn turn_before(&self, deadline: Instant) -> bool {
        let Some(at) = self.reserve(Instant::now(), deadline) else { return false };
        tokio::time::sleep_until(at).await;
        true
    }

    fn reserve(&self, now: Instant, deadline: Instant) -> Option<Instant> {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next = (*full_at).max(now) + self.interval;
        let turn = next.checked_sub(self.interval * self.burst).map_or(now, |turn| turn.max(now));
        if turn > deadline {
            return None;
        }
        *full_at = next;
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::RateLimiter;
    use crate::RateLimit;

    #[test]
    fn a_burst_is_followed_by_a_steady_rate_and_a_pause_refills_the_bucket() {
        let limiter = RateLimiter::new(RateLimit { per_second: 10.0, burst: 2 });
        let start = Instant::now() + Duration::from_secs(1);
        let late = start + Duration::from_secs(60);
        let waits: Vec<_> = (0..4).map(|_| limiter.reserve(start, late).map(|turn| turn - start)).collect();
        assert_eq!(waits, [0, 0, 100, 200].map(|wait| Some(Duration::from_millis(wait))));
        let later = start + Duration::from_secs(5);
        assert_eq!(limiter.reserve(later, late), Some(later));
    }

    #[test]
    fn a_request_that_would_miss_its_deadline_takes_no_turn() {
        let limiter = RateLimiter::new(RateLimit { per_second: 1.0, burst: 1 });
        let start = Instant::now() + Duration::from_secs(1);
        let soon = start + Duration::from_millis(500);
        assert_eq!(limiter.reserve(start, soon), Some(start));
        assert_eq!((0..100).filter_map(|_| limiter.reserve(start, soon)).count(), 0);
        assert_eq!(
            limiter.reserve(start, start + Duration::from_secs(2)),
            Some(start + Duration::from_secs(1))
        );
    }
}
