//! How long Vault lets a token or a lease live, when to renew it, and when to ask for its successor.

use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};

use crate::attempt::Attempt;

/// Vault counts in seconds: two ends that are nearer than this are the same one.
const SAME: Duration = Duration::from_millis(1500);

/// How soon, at the least, it is asked again whether an end moves.
const SOONEST_QUESTION: Duration = Duration::from_secs(3);

/// How soon a renewal that failed is tried again, at the least and at the most.
const SOONEST_RETRY: Duration = Duration::from_secs(1);
const LATEST_RETRY: Duration = Duration::from_secs(60);

/// The life of a token or a lease, as Vault last granted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// What Vault granted last.
    pub(crate) granted: Duration,
    /// What it granted before that became less: in the last third of it a successor is due.
    pub(crate) whole: Duration,
    pub(crate) until: Instant,
    /// When it is renewed next; none where Vault renews no further.
    pub(crate) renewal: Option<Instant>,
    pub(crate) last: LastRenewal,
}

/// What came of the last renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastRenewal {
    /// It was granted, or none was asked for yet.
    Granted,
    /// The end stayed where it was.
    Stayed,
    /// It failed, and is tried again.
    Failed,
    /// Vault refused it, and may refuse the next: it may be the end, or the engine behind it is away.
    Refused,
}

impl Lifetime {
    /// A life that was granted at `now`, or asked for then: what the answer took counts against it.
    pub(crate) fn new(now: Instant, granted: Duration, renewable: bool) -> Self {
        // no server means a century; an instant has an end
        let granted = granted.min(Duration::from_secs(100 * 365 * 86_400));
        let renewal = renewable.then(|| renewal(now, granted));
        Self { granted, whole: granted, until: now + granted, renewal, last: LastRenewal::Granted }
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until <= now
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.renewal.is_some_and(|at| at <= now) && !self.is_over(now)
    }

    /// The next renewal's.
    pub(crate) fn attempt(&self) -> Attempt {
        match self.last {
            LastRenewal::Granted | LastRenewal::Stayed => Attempt::First,
            LastRenewal::Failed | LastRenewal::Refused => Attempt::Again,
        }
    }

    /// Whether it is time for the next one: Vault renews this one no further, and less than a third is left.
    pub(crate) fn wants_successor(&self, now: Instant) -> bool {
        let is_last = self.renewal.is_none() || self.last == LastRenewal::Refused;
        is_last && self.left(now) * 3 < self.whole
    }

    /// Takes over what a renewal, asked for at `now`, was answered with.
    pub(crate) fn renewed(&mut self, now: Instant, granted: Duration, renewable: bool) {
        let next = Self::new(now, granted, renewable);
        let stays = next.until <= self.until + SAME && self.until <= next.until + SAME;
        if !stays && self.granted <= next.granted + SAME {
            *self = next;
            return;
        }
        // less than before, or an end that stays where it was, is the most that Vault gives, or what is left of a life that an
        // operator cut: that one moves when asked again
        let is_last = stays && self.last == LastRenewal::Stayed;
        let again = (next.left(now) / 10).max(SOONEST_QUESTION).min(next.left(now) / 2);
        *self = Self {
            whole: self.whole,
            renewal: next.renewal.filter(|_| !is_last).map(|_| now + again),
            last: if stays { LastRenewal::Stayed } else { LastRenewal::Granted },
            ..next
        };
    }

    /// Tries again later: sooner where less is left, and never all at once after an outage.
    pub(crate) fn put_off(&mut self, now: Instant) {
        let wait = (self.left(now) / 4).clamp(SOONEST_RETRY, LATEST_RETRY);
        self.renewal = Some(now + wait.mul_f64(0.5 + 0.5 * fraction()));
        self.last = LastRenewal::Failed;
    }

    /// Tries again later what Vault refused.
    pub(crate) fn refuse(&mut self, now: Instant) {
        self.put_off(now);
        self.last = LastRenewal::Refused;
    }

    /// Notes that Vault renews it no further.
    pub(crate) fn end_renewals(&mut self) {
        self.renewal = None;
    }

    fn left(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }
}

/// When two thirds have passed, or up to a tenth of that sooner, so that what was granted together is not renewed together.
fn renewal(now: Instant, granted: Duration) -> Instant {
    now + granted.mul_f64(2.0 / 3.0 * (1.0 - 0.1 * fraction()))
}

/// A random number from 0 to 1; without a source of them, the middle.
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

    use super::{LastRenewal, Lifetime};

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
            let wait = life.renewal.expect("renewable") - now;
            assert!((seconds(36)..=seconds(40)).contains(&wait), "{wait:?}");
            seen.insert(wait);
        }
        assert!(seen.len() > 50, "renewals are spread");
        assert!(!Lifetime::new(now, MINUTE, true).is_due(now + seconds(35)));
        assert!(Lifetime::new(now, MINUTE, true).is_due(now + seconds(41)));
        assert!(!Lifetime::new(now, MINUTE, true).is_due(now + MINUTE), "what is over is not renewed");
    }

    #[test]
    fn a_renewal_that_moves_the_end_is_followed_by_another() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.renewed(now + seconds(40), MINUTE, true);
        assert_eq!(life.until, now + seconds(100));
        assert!(life.renewal.is_some());
    }

    #[test]
    fn an_end_that_stays_twice_is_the_last() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.renewed(now + seconds(40), seconds(20), true);
        assert_eq!(life.renewal, Some(now + seconds(43)), "asked again");
        life.renewed(now + seconds(43), seconds(17), true);
        assert_eq!((life.renewal, life.until), (None, now + MINUTE));
        assert!(life.wants_successor(now + seconds(43)));
    }

    #[test]
    fn a_life_cut_to_what_was_left_goes_on_being_renewed() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.renewed(now + seconds(40), seconds(20), true);
        life.renewed(now + seconds(43), seconds(20), true);
        assert_eq!(life.until, now + seconds(63));
        assert!(life.renewal.is_some() && life.last == LastRenewal::Granted);
    }

    /// How much is left when a successor is first wanted of a lease that Vault lets live for `max`, if it took a while to issue.
    fn time_for_a_successor(ttl: u64, max: u64, issuing: u64) -> Duration {
        let start = Instant::now();
        let end = start + seconds(issuing + max);
        let mut life = Lifetime::new(start, seconds(ttl.min(max)), true);
        let mut now = start;
        while let Some(renewal) = life.renewal {
            now = renewal;
            let left = end.saturating_duration_since(now).as_secs();
            life.renewed(now, seconds(left.min(ttl)), true);
        }
        while !life.wants_successor(now) {
            now += seconds(1);
        }
        end - now
    }

    #[test]
    fn a_last_grant_that_is_short_leaves_time_for_a_successor() {
        for (ttl, max, issuing) in
            [(300, 300, 0), (300, 300, 4), (3600, 3600, 10), (600, 3600, 0), (600, 3600, 3)]
        {
            for _ in 0..1000 {
                let left = time_for_a_successor(ttl, max, issuing);
                assert!(left * 4 >= seconds(ttl), "{left:?} of {ttl} s, at most {max} s");
            }
        }
    }

    #[test]
    fn what_a_renewal_calls_not_renewable_is_renewed_no_further() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.renewed(now + seconds(40), seconds(20), false);
        assert_eq!(life.renewal, None);
        assert!(!life.wants_successor(now + seconds(40)), "a third is left");
        assert!(life.wants_successor(now + seconds(41)));
    }

    #[test]
    fn a_life_that_an_operator_cut_goes_on_being_renewed() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.renewed(now + seconds(30), seconds(10), true);
        assert_eq!(life.until, now + seconds(40));
        assert!(life.renewal.is_some());
        life.renewed(now + seconds(37), seconds(10), true);
        assert!(life.renewal.is_some() && life.until == now + seconds(47));
    }

    #[test]
    fn what_is_not_renewable_wants_a_successor_in_its_last_third() {
        let now = Instant::now();
        let life = Lifetime::new(now, MINUTE, false);
        assert!(!life.wants_successor(now + seconds(40)) && life.wants_successor(now + seconds(41)));
        let renewable = Lifetime::new(now, MINUTE, true);
        assert!(!renewable.wants_successor(now + seconds(59)), "Vault may be back in time");
    }

    #[test]
    fn a_failed_renewal_is_tried_again_before_the_end() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.put_off(now + seconds(40));
        let wait = life.renewal.expect("another try") - (now + seconds(40));
        assert!((Duration::from_millis(2500)..=seconds(5)).contains(&wait), "{wait:?}");
    }

    #[test]
    fn what_failed_together_is_not_tried_again_together() {
        let now = Instant::now();
        let tries: std::collections::HashSet<_> = (0..100)
            .map(|_| {
                let mut life = Lifetime::new(now, MINUTE, true);
                life.put_off(now + seconds(40));
                life.renewal
            })
            .collect();
        assert!(tries.len() > 50, "{}", tries.len());
    }

    #[test]
    fn what_vault_refuses_to_renew_is_tried_again_and_wants_a_successor_in_its_last_third() {
        let now = Instant::now();
        let mut life = Lifetime::new(now, MINUTE, true);
        life.refuse(now + seconds(38));
        assert!(life.renewal.is_some() && !life.wants_successor(now + seconds(40)));
        assert!(life.wants_successor(now + seconds(41)));
        life.renewed(now + seconds(42), MINUTE, true);
        assert!(!life.wants_successor(now + seconds(90)), "Vault thought better of it");
    }

    #[test]
    fn a_life_without_end_is_no_overflow() {
        Lifetime::new(Instant::now(), Duration::MAX, true);
    }
}
