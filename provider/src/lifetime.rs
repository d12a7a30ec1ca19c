//! How long Vault lets a token or a lease live, when it is renewed, and when it is replaced.

use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};

/// Two ends that are nearer than this are the same: Vault counts in seconds.
const SAME_END: Duration = Duration::from_millis(1500);

/// Shortest wait before Vault is asked again whether an end moves.
const SHORTEST_RECHECK: Duration = Duration::from_secs(3);

/// Shortest and longest wait before a failed renewal is tried again.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Longest TTL that is believed, so that the end is a valid [`Instant`].
const LONGEST_TTL: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The lifetime of a token or a lease, as Vault last granted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// TTL of the last grant.
    pub(crate) granted: Duration,
    /// TTL of the last full grant. A replacement is due in its last third.
    pub(crate) full_ttl: Duration,
    pub(crate) until: Instant,
    pub(crate) renewal: Renewal,
    pub(crate) last: LastRenewal,
}

/// When a renewal is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// At this time.
    At(Instant),
    /// It is being made; it was due at this time.
    InProgress(Instant),
    /// Vault renews no further.
    Never,
}

/// What came of the last renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastRenewal {
    /// Vault granted it, or none was asked for yet.
    Granted,
    /// Vault granted it, and the end stayed where it was.
    EndStayed,
    /// It failed, and is tried again.
    Failed,
    /// Vault refused it, and may grant the next: the engine behind the lease may be away.
    Refused,
}

/// Whether a renewal or revocation is tried for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The first try.
    First,
    /// A try after one that failed.
    Retry,
}

impl Lifetime {
    /// Returns a lifetime that was asked for at `asked`: the time that the answer took counts against it.
    pub(crate) fn new(asked: Instant, granted: Duration, renewable: bool) -> Self {
        let granted = granted.min(LONGEST_TTL);
        let renewal = if renewable { Renewal::At(renewal_time(asked, granted)) } else { Renewal::Never };
        Self { granted, full_ttl: granted, until: asked + granted, renewal, last: LastRenewal::Granted }
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until <= now
    }

    /// Returns when the next renewal is made; nothing where there is none, or it is being made.
    pub(crate) fn next_renewal(&self) -> Option<Instant> {
        match self.renewal {
            Renewal::At(at) => Some(at),
            Renewal::InProgress(_) | Renewal::Never => None,
        }
    }

    /// Claims the renewal that is due, if one is, and returns which attempt it is.
    pub(crate) fn claim_renewal(&mut self, now: Instant) -> Option<Attempt> {
        let at = self.next_renewal().filter(|at| *at <= now && !self.is_over(now))?;
        self.renewal = Renewal::InProgress(at);
        Some(match self.last {
            LastRenewal::Granted | LastRenewal::EndStayed => Attempt::First,
            LastRenewal::Failed | LastRenewal::Refused => Attempt::Retry,
        })
    }

    /// Gives a claim back that came to nothing: the renewal is due again.
    pub(crate) fn release_claim(&mut self) {
        if let Renewal::InProgress(at) = self.renewal {
            self.renewal = Renewal::At(at);
        }
    }

    /// Returns whether a replacement is due: Vault renews no further, and less than a third is left.
    pub(crate) fn needs_replacement(&self, now: Instant) -> bool {
        let is_last = self.renewal == Renewal::Never || self.last == LastRenewal::Refused;
        is_last && self.left(now) * 3 < self.full_ttl
    }

    /// Takes over what a renewal, asked for at `asked`, was answered with.
    pub(crate) fn renewed(&mut self, asked: Instant, granted: Duration, renewable: bool) {
        let next = Self::new(asked, granted, renewable);
        let end_stays = next.until <= self.until + SAME_END && self.until <= next.until + SAME_END;
        if !end_stays && self.granted <= next.granted + SAME_END {
            *self = next;
            return;
        }
        // A grant that is less than before, or an end that stays, is the most that Vault gives, or what is left
        // of a lifetime that an operator cut: the end of that one moves when Vault is asked again.
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

    /// Schedules another try of a renewal that failed: sooner where less time is left, and spread at random, so
    /// that not all come at once after an outage.
    pub(crate) fn retry_later(&mut self, now: Instant) {
        let wait = (self.left(now) / 4).clamp(SHORTEST_RETRY, LONGEST_RETRY);
        self.renewal = Renewal::At(now + wait.mul_f64(0.5 + 0.5 * fraction()));
        self.last = LastRenewal::Failed;
    }

    /// Schedules another try of a renewal that Vault refused.
    pub(crate) fn retry_refused(&mut self, now: Instant) {
        self.retry_later(now);
        self.last = LastRenewal::Refused;
    }

    /// Notes that Vault renews no further.
    pub(crate) fn end_renewals(&mut self) {
        self.renewal = Renewal::Never;
    }

    fn left(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }
}

/// Returns the time when two thirds have passed, or up to a tenth of that sooner, so that what was granted
/// together is not renewed together.
fn renewal_time(asked: Instant, granted: Duration) -> Instant {
    asked + granted.mul_f64(2.0 / 3.0 * (1.0 - 0.1 * fraction()))
}

/// Returns a random number from 0 to 1; without a source of them, the middle.
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
    fn is_renewed_when_two_thirds_have_passed_or_a_little_sooner() {
        let now = Instant::now();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100 {
            let life = Lifetime::new(now, MINUTE, true);
            let wait = life.next_renewal().expect("renewable") - now;
            assert!((seconds(36)..=seconds(40)).contains(&wait), "{wait:?}");
            seen.insert(wait);
        }
        assert!(seen.len() > 50, "renewals are spread");
        let claimed = |after| Lifetime::new(now, MINUTE, true).claim_renewal(now + after);
        assert_eq!(claimed(seconds(35)), None);
        assert_eq!(claimed(seconds(41)), Some(Attempt::First));
        assert_eq!(claimed(MINUTE), None, "what is over is not renewed");
    }

    #[test]
    fn a_renewal_that_moves_the_end_is_followed_by_another() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.renewed(now + seconds(40), MINUTE, true);
        assert_eq!(life.until, now + seconds(100));
        assert!(life.next_renewal().is_some());
    }

    #[test]
    fn an_end_that_stays_twice_is_the_last() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.renewed(now + seconds(40), seconds(20), true);
        assert_eq!(life.renewal, Renewal::At(now + seconds(43)), "asked again");
        life.renewed(now + seconds(43), seconds(17), true);
        assert_eq!((life.renewal, life.until), (Renewal::Never, now + MINUTE));
        assert!(life.needs_replacement(now + seconds(43)));
    }

    #[test]
    fn a_life_cut_to_what_was_left_goes_on_being_renewed() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.renewed(now + seconds(40), seconds(20), true);
        life.renewed(now + seconds(43), seconds(20), true);
        assert_eq!(life.until, now + seconds(63));
        assert!(life.next_renewal().is_some() && life.last == LastRenewal::Granted);
    }

    /// How much is left when a replacement is first wanted of a lease that Vault lets live for `max`, if it took a while to issue.
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
    fn a_last_grant_that_is_short_leaves_time_for_a_replacement() {
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
    fn what_a_renewal_calls_not_renewable_is_renewed_no_further() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.renewed(now + seconds(40), seconds(20), false);
        assert_eq!(life.renewal, Renewal::Never);
        assert!(!life.needs_replacement(now + seconds(40)), "a third is left");
        assert!(life.needs_replacement(now + seconds(41)));
    }

    #[test]
    fn a_life_that_an_operator_cut_goes_on_being_renewed() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.renewed(now + seconds(30), seconds(10), true);
        assert_eq!(life.until, now + seconds(40));
        assert!(life.next_renewal().is_some());
        life.renewed(now + seconds(37), seconds(10), true);
        assert!(life.next_renewal().is_some() && life.until == now + seconds(47));
    }

    #[test]
    fn what_is_not_renewable_wants_a_replacement_in_its_last_third() {
        let now = Instant::now();
        let life = Lifetime::new(now, MINUTE, false);
        assert!(!life.needs_replacement(now + seconds(40)) && life.needs_replacement(now + seconds(41)));
        let renewable = Lifetime::new(now, MINUTE, true);
        assert!(!renewable.needs_replacement(now + seconds(59)), "Vault may be back in time");
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
    fn what_failed_together_is_not_tried_again_together() {
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
    fn what_vault_refuses_to_renew_is_tried_again_and_wants_a_replacement_in_its_last_third() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.retry_refused(now + seconds(38));
        assert!(life.next_renewal().is_some() && !life.needs_replacement(now + seconds(40)));
        assert!(life.needs_replacement(now + seconds(41)));
        life.renewed(now + seconds(42), MINUTE, true);
        assert!(!life.needs_replacement(now + seconds(90)), "Vault thought better of it");
    }

    #[test]
    fn a_life_without_end_is_no_overflow() {
        Lifetime::new(Instant::now(), Duration::MAX, true);
    }

    #[test]
    fn a_claimed_renewal_is_due_once_and_again_when_the_claim_came_to_nothing() {
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
        assert!(!life.needs_replacement(due + seconds(18)), "Vault may renew it yet");
    }
}
