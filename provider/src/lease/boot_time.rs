//! Conversion of times to milliseconds since boot, the form in which records store times. A change
//! of the machine's time of day does not affect that form.

use std::time::{Duration, Instant};

use crate::Clock;

/// The current time of the monotonic clock, and the time since boot at that moment.
pub(super) struct BootTime {
    now: Instant,
    since_boot: Duration,
}

impl BootTime {
    /// Reads both clocks.
    pub(super) fn now(clock: &dyn Clock) -> Self {
        Self { now: clock.now(), since_boot: clock.since_boot() }
    }

    /// Converts a time to milliseconds since boot.
    pub(super) fn to_millis(&self, at: Instant) -> u64 {
        let later = at.saturating_duration_since(self.now);
        let sooner = self.now.saturating_duration_since(at);
        millis((self.since_boot + later).saturating_sub(sooner))
    }

    /// Converts milliseconds since boot to a time.
    pub(super) fn to_instant(&self, since_boot: u64) -> Instant {
        let at = Duration::from_millis(since_boot);
        let later = at.saturating_sub(self.since_boot);
        let sooner = self.since_boot.saturating_sub(at);
        (self.now + later).checked_sub(sooner).unwrap_or(self.now)
    }
}

/// Converts a duration to milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
