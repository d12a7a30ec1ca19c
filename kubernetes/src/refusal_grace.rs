//! How long refusals of the watch on pods are ignored.

use std::time::{Duration, Instant};

/// Grace period before the first list that was accepted.
const FIRST_GRACE: Duration = Duration::from_secs(30);

/// Grace period after a list that was accepted. kube-apiserver refuses for a while when it starts,
/// before it knows the roles, and the next list reports what happened meanwhile.
const GRACE: Duration = Duration::from_secs(300);

/// Grace period for consecutive refusals (401, 403, or a list without this process's own pod): they
/// are ignored until they have gone on for this long.
pub(crate) struct RefusalGrace {
    length: Duration,
    /// When the first refusal in a row came.
    first_refusal: Option<Instant>,
}

impl RefusalGrace {
    /// Returns the grace period before the first good list, 30 seconds.
    pub(crate) fn before_first_list() -> Self {
        Self { length: FIRST_GRACE, first_refusal: None }
    }

    /// Returns the grace period after a good list, 300 seconds.
    pub(crate) fn after_list() -> Self {
        Self { length: GRACE, first_refusal: None }
    }

    /// Records a refusal at `now`, and returns whether it is ignored.
    pub(crate) fn ignores_refusal(&mut self, now: Instant) -> bool {
        now.duration_since(*self.first_refusal.get_or_insert(now)) < self.length
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{FIRST_GRACE, GRACE, RefusalGrace};

    #[test]
    fn refusals_count_when_they_go_on_for_long_however_long_the_watch_went_well() {
        let hour = Instant::now() + Duration::from_secs(3600);
        let second = Duration::from_secs(1);
        let graces = [(RefusalGrace::before_first_list(), FIRST_GRACE), (RefusalGrace::after_list(), GRACE)];
        for (mut grace, length) in graces {
            assert!(grace.ignores_refusal(hour) && grace.ignores_refusal(hour + length - second));
            assert!(!grace.ignores_refusal(hour + length));
        }
    }
}
