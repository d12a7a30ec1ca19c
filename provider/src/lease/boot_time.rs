//! Times as they are stored: in milliseconds since the machine booted, which no change of its clock moves.

use std::time::{Duration, Instant};

use crate::Clock;

/// One moment by both of the machine's clocks.
pub(super) struct BootTime {
    now: Instant,
    since_boot: Duration,
}

impl BootTime {
    /// Returns this moment.
    pub(super) fn now(clock: &dyn Clock) -> Self {
        Self { now: clock.now(), since_boot: clock.since_boot() }
    }

    /// Returns a time in milliseconds since boot.
    pub(super) fn to_millis(&self, at: Instant) -> u64 {
        let later = at.saturating_duration_since(self.now);
        let sooner = self.now.saturating_duration_since(at);
        millis((self.since_boot + later).saturating_sub(sooner))
    }

    /// Returns the time of so many milliseconds since boot.
    pub(super) fn from_millis(&self, since_boot: u64) -> Instant {
        let at = Duration::from_millis(since_boot);
        let later = at.saturating_sub(self.since_boot);
        let sooner = self.since_boot.saturating_sub(at);
        (self.now + later).checked_sub(sooner).unwrap_or(self.now)
    }
}

/// Returns a duration in milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
