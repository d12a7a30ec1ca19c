//! The clock as a port, so that expiry is tested without waiting.

use std::time::{Duration, Instant, SystemTime};

use nix::time::{ClockId, clock_gettime};

/// Returns the time, by which the lifetimes of tokens and leases are measured.
pub trait Clock: Send + Sync {
    /// Returns the current time of a clock that never steps.
    fn now(&self) -> Instant;

    /// Returns the time of day, which may step. Use this time only to convert a date of Vault at
    /// the moment when the date arrives.
    fn time_of_day(&self) -> SystemTime;

    /// Returns the time since the machine booted, with the time in suspend. This clock continues
    /// over a restart of the process.
    fn since_boot(&self) -> Duration;
}

/// The clocks of the operating system.
#[derive(Debug, Default, Clone, Copy)]
pub struct MonotonicClock;

impl Clock for MonotonicClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn time_of_day(&self) -> SystemTime {
        SystemTime::now()
    }

    fn since_boot(&self) -> Duration {
        clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
    }
}

#[cfg(test)]
pub(crate) mod manual {
    use std::sync::Mutex;
    use std::time::{Duration, Instant, SystemTime};

    /// A clock that moves only when a test advances it.
    pub(crate) struct ManualClock {
        made: Instant,
        now: Mutex<Instant>,
        time_of_day: Mutex<SystemTime>,
    }

    impl ManualClock {
        pub(crate) fn new() -> Self {
            let made = Instant::now();
            Self { made, now: Mutex::new(made), time_of_day: Mutex::new(SystemTime::now()) }
        }

        pub(crate) fn advance(&self, by: Duration) {
            *self.now.lock().expect("no holder panics") += by;
            *self.time_of_day.lock().expect("no holder panics") += by;
        }

        /// Sets the time of day, as an operator or NTP does.
        pub(crate) fn step(&self, to: SystemTime) {
            *self.time_of_day.lock().expect("no holder panics") = to;
        }
    }

    impl super::Clock for ManualClock {
        fn now(&self) -> Instant {
            *self.now.lock().expect("no holder panics")
        }

        fn time_of_day(&self) -> SystemTime {
            *self.time_of_day.lock().expect("no holder panics")
        }

        fn since_boot(&self) -> Duration {
            Duration::from_secs(86_400) + self.now().duration_since(self.made)
        }
    }
}
