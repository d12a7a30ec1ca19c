//! Lifetimes of tokens and leases: when they end, are renewed, and need a replacement.

use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};

/// Maximum difference of two ends that count as the same. Vault's TTLs are whole seconds.
const SAME_END: Duration = Duration::from_millis(1500);

/// Minimum wait before another renewal, after one that did not extend the lifetime.
const SHORTEST_RECHECK: Duration = Duration::from_secs(3);

/// Minimum wait before a failed renewal is tried again.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);

/// Maximum wait before a failed renewal is tried again.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Maximum TTL, so that the end is a valid [`Instant`]. A longer TTL is cut.
const LONGEST_TTL: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The lifetime of a token or a lease, as Vault last granted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// TTL of the last grant.
    pub(crate) granted: Duration,
    /// TTL of the last full grant. A replacement is due in its last third.
    pub(crate) full_ttl: Duration,
    /// When the token or lease ends.
    pub(crate) until: Instant,
    pub(crate) renewal: Renewal,
    pub(crate) last: LastRenewal,
}

/// When the next renewal is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The renewal is due at this time.
    At(Instant),
    /// The renewal was due at this time, and is in progress.
    InProgress(Instant),
    /// Vault renews no further.
    Never,
}

/// The result of the last renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastRenewal {
    /// Vault granted the renewal, or there was none yet.
    Granted,
    /// Vault granted the renewal, and the end did not change.
    EndStayed,
    /// The renewal failed, and is tried again.
    Failed,
    /// Vault refused the renewal. The next one may succeed, if the system behind the engine was not
    /// available.
    Refused,
}

/// Whether a renewal or revocation is a first try or a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The first try.
    First,
    /// A later try, after a failure.
    Retry,
}

impl Lifetime {
    /// Returns the lifetime of a grant. The TTL counts from `asked`, when the request was sent.
    pub(crate) fn new(asked: Instant, granted: Duration, renewable: bool) -> Self {
        let granted = granted.min(LONGEST_TTL);
        let renewal = if renewable { Renewal::At(renewal_time(asked, granted)) } else { Renewal::Never };
        Self { granted, full_ttl: granted, until: asked + granted, renewal, last: LastRenewal::Granted }
    }

    /// Returns whether the lifetime has ended.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until <= now
    }

    /// Returns when the next renewal is due; none if there is no renewal, or one is in progress.
    pub(crate) fn next_renewal(&self) -> Option<Instant> {
        match self.renewal {
            Renewal::At(at) => Some(at),
            Renewal::InProgress(_) | Renewal::Never => None,
        }
    }

    /// Claims the renewal that is due. Returns none if no renewal is due.
    pub(crate) fn claim_renewal(&mut self, now: Instant) -> Option<Attempt> {
        let at = self.next_renewal().filter(|at| *at <= now && !self.is_over(now))?;
        self.renewal = Renewal::InProgress(at);
        Some(match self.last {
            LastRenewal::Granted | LastRenewal::EndStayed => Attempt::First,
            LastRenewal::Failed | LastRenewal::Refused => Attempt::Retry,
        })
    }

    /// Releases a claim without a result, so that the renewal is due again.
    pub(crate) fn release_claim(&mut self) {
        if let Renewal::InProgress(at) = self.renewal {
            self.renewal = Renewal::At(at);
        }
    }

    /// Returns whether a replacement is due: Vault renews no further, and less than a third is
    /// left.
    pub(crate) fn needs_replacement(&self, now: Instant) -> bool {
        let is_last = self.renewal == Renewal::Never || self.last == LastRenewal::Refused;
        is_last && self.left(now) * 3 < self.full_ttl
    }

    /// Sets the lifetime to what Vault granted by a renewal that was requested at `asked`.
    pub(crate) fn renewed(&mut self, asked: Instant, granted: Duration, renewable: bool) {
        let next = Self::new(asked, granted, renewable);
        let end_stays = next.until <= self.until + SAME_END && self.until <= next.until + SAME_END;
        if !end_stays && self.granted <= next.granted + SAME_END {
            *self = next;
            return;
        }
        // A smaller grant than before, or the same end, has one of two causes: the maximum TTL is
        // reached, or an operator shortened the lifetime. In the second case the end moves with
        // another renewal.
        let is_last = end_stays && self.last == LastRenewal::EndStayed;
        let recheck = (next.left(asked) / 10).max(SHORTEST_RECHECK).min(next.left(asked) / 2);
        *self = Self {
            full_ttl: self.full_ttl,
            renewal: match next.renewal {
                Renewal::At(_) if !is_last => Renewal::At(asked + recheck),
                _ => Renewal::Never,
            },
            last: if end_stays { LastRenewal::EndStayed } else { LastRenewal::Granted },
            ..next
        };
    }

    /// Schedules the retry of a renewal that failed: sooner if less time is left, and with jitter,
    /// so that an outage of Vault is not followed by all retries at once.
    pub(crate) fn retry_later(&mut self, now: Instant) {
        let wait = (self.left(now) / 4).clamp(SHORTEST_RETRY, LONGEST_RETRY);
        self.renewal = Renewal::At(now + wait.mul_f64(0.5 + 0.5 * fraction()));
        self.last = LastRenewal::Failed;
    }

    /// Schedules the retry of a renewal that Vault refused.
    pub(crate) fn retry_refused(&mut self, now: Instant) {
        self.retry_later(now);
        self.last = LastRenewal::Refused;
    }

    /// Notes that Vault renews no further.
    pub(crate) fn end_renewals(&mut self) {
        self.renewal = Renewal::Never;
    }

    /// Returns the time until the end.
    fn left(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }
}

/// Returns when a renewal is due: after two thirds of the TTL, or up to a tenth of that sooner, so
/// that leases that were granted together are not renewed together.
fn renewal_time(asked: Instant, granted: Duration) -> Instant {
    asked + granted.mul_f64(2.0 / 3.0 * (1.0 - 0.1 * fraction()))
}

/// Returns a random number from 0 to 1; 0.5 if the system has no random numbers.
fn fraction() -> f64 {
    let mut bytes = [0; 2];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Attempt, LastRenewal, Lifetime, Renewal};

    const MINUTE: Duration = Duration::from_secs(60);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_renewal_is_due_after_two_thirds_of_the_ttl_or_a_little_sooner() {
        let now = Instant::now();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100 {
            let life = Lifetime::new(now, MINUTE, true);
            let wait = life.next_renewal().expect("renewable") - now;
            assert!((seconds(36)..=seconds(40)).contains(&wait), "{wait:?}");
            seen.insert(wait);
        }
        assert!(seen.len() > 50, "renewals have jitter");
        let claimed = |after| Lifetime::new(now, MINUTE, true).claim_renewal(now + after);
        assert_eq!(claimed(seconds(35)), None);
        assert_eq!(claimed(seconds(41)), Some(Attempt::First));
        assert_eq!(claimed(MINUTE), None, "nothing is renewed after its end");
    }

    #[test]
    fn a_renewal_that_extends_the_lifetime_is_followed_by_another() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.renewed(now + seconds(40), MINUTE, true);
        assert_eq!(life.until, now + seconds(100));
        assert!(life.next_renewal().is_some());
    }

    #[test]
    fn there_is_no_further_renewal_after_two_that_did_not_move_the_end() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.renewed(now + seconds(40), seconds(20), true);
        assert_eq!(life.renewal, Renewal::At(now + seconds(43)), "one more renewal");
        life.renewed(now + seconds(43), seconds(17), true);
        assert_eq!((life.renewal, life.until), (Renewal::Never, now + MINUTE));
        assert!(life.needs_replacement(now + seconds(43)));
    }

    #[test]
    fn a_lifetime_cut_to_the_time_that_was_left_is_still_renewed() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.renewed(now + seconds(40), seconds(20), true);
        life.renewed(now + seconds(43), seconds(20), true);
        assert_eq!(life.until, now + seconds(63));
        assert!(life.next_renewal().is_some() && life.last == LastRenewal::Granted);
    }

    /// Returns the time between the moment when a replacement is due and the end. The lease has
    /// this maximum TTL, and took `issuing` seconds to issue.
    fn time_for_a_replacement(ttl: u64, max: u64, issuing: u64) -> Duration {
        let start = Instant::now();
        let end = start + seconds(issuing + max);
        let mut life = Lifetime::new(start, seconds(ttl.min(max)), true);
        let mut now = start;
        while let Some(renewal) = life.next_renewal() {
            now = renewal;
            let left = end.saturating_duration_since(now).as_secs();
            life.renewed(now, seconds(left.min(ttl)), true);
        }
        while !life.needs_replacement(now) {
            now += seconds(1);
        }
        end - now
    }

    #[test]
    fn a_short_last_grant_leaves_time_for_a_replacement() {
        for (ttl, max, issuing) in
            [(300, 300, 0), (300, 300, 4), (3600, 3600, 10), (600, 3600, 0), (600, 3600, 3)]
        {
            for _ in 0..1000 {
                let left = time_for_a_replacement(ttl, max, issuing);
                assert!(left * 4 >= seconds(ttl), "{left:?} of {ttl} s, at most {max} s");
            }
        }
    }

    #[test]
    fn there_is_no_renewal_after_one_that_returned_not_renewable() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.renewed(now + seconds(40), seconds(20), false);
        assert_eq!(life.renewal, Renewal::Never);
        assert!(!life.needs_replacement(now + seconds(40)), "a third is left");
        assert!(life.needs_replacement(now + seconds(41)));
    }

    #[test]
    fn a_lifetime_that_an_operator_shortened_is_still_renewed() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.renewed(now + seconds(30), seconds(10), true);
        assert_eq!(life.until, now + seconds(40));
        assert!(life.next_renewal().is_some());
        life.renewed(now + seconds(37), seconds(10), true);
        assert!(life.next_renewal().is_some() && life.until == now + seconds(47));
    }

    #[test]
    fn a_lease_that_is_not_renewable_needs_a_replacement_in_its_last_third() {
        let now = Instant::now();
        let life = Lifetime::new(now, MINUTE, false);
        assert!(!life.needs_replacement(now + seconds(40)) && life.needs_replacement(now + seconds(41)));
        let renewable = Lifetime::new(now, MINUTE, true);
        assert!(!renewable.needs_replacement(now + seconds(59)), "a renewal may still succeed");
    }

    #[test]
    fn a_failed_renewal_is_tried_again_before_the_end() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.retry_later(now + seconds(40));
        let wait = life.next_renewal().expect("another try") - (now + seconds(40));
        assert!((Duration::from_millis(2500)..=seconds(5)).contains(&wait), "{wait:?}");
    }

    #[test]
    fn retries_have_jitter() {
        let now = Instant::now();
        let tries: std::collections::HashSet<_> = (0..100)
            .map(|_| {
                let mut life = Lifetime::new(now, MINUTE, true);
                life.retry_later(now + seconds(40));
                life.next_renewal()
            })
            .collect();
        assert!(tries.len() > 50, "{}", tries.len());
    }

    #[test]
    fn a_refused_renewal_is_retried_and_a_replacement_is_due_in_the_last_third() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.retry_refused(now + seconds(38));
        assert!(life.next_renewal().is_some() && !life.needs_replacement(now + seconds(40)));
        assert!(life.needs_replacement(now + seconds(41)));
        life.renewed(now + seconds(42), MINUTE, true);
        assert!(!life.needs_replacement(now + seconds(90)), "the retry succeeded");
    }

    #[test]
    fn the_longest_ttl_does_not_overflow() {
        Lifetime::new(Instant::now(), Duration::MAX, true);
    }

    #[test]
    fn a_renewal_is_claimed_once_and_is_due_again_after_the_claim_is_released() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        let due = now + seconds(41);
        assert_eq!(life.claim_renewal(due), Some(Attempt::First));
        assert_eq!((life.claim_renewal(due), life.next_renewal()), (None, None));
        life.release_claim();
        assert_eq!(life.claim_renewal(due), Some(Attempt::First));
        life.retry_later(due);
        life.release_claim();
        assert_eq!(life.claim_renewal(due + seconds(5)), Some(Attempt::Retry));
        assert!(!life.needs_replacement(due + seconds(18)), "a retry may still succeed");
    }
}
