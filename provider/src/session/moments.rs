//! Moments as they are stored: in milliseconds since the machine started, which no change of its clock moves.

use std::time::{Duration, Instant};

use crate::Clock;

/// One moment by both of our clocks.
pub(super) struct Moments {
    now: Instant,
    since_boot: Duration,
}

impl Moments {
    pub(super) fn of(clock: &dyn Clock) -> Self {
        Self { now: clock.now(), since_boot: clock.since_boot() }
    }

    pub(super) fn told(&self, at: Instant) -> u64 {
        let later = at.saturating_duration_since(self.now);
        let sooner = self.now.saturating_duration_since(at);
        millis((self.since_boot + later).saturating_sub(sooner))
    }

    pub(super) fn meant(&self, told: u64) -> Instant {
        let at = Duration::from_millis(told);
        let later = at.saturating_sub(self.since_boot);
        let sooner = self.since_boot.saturating_sub(at);
        (self.now + later).checked_sub(sooner).unwrap_or(self.now)
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
