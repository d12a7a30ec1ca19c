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

#[test]
fn a_renewal_is_overdue_a_minute_after_it_was_due_however_often_it_is_tried() {
    let now = Instant::now();
    let mut life = Lifetime::new(now, 10 * MINUTE, true);
    let due = life.next_renewal().expect("renewable");
    for after in [seconds(1), seconds(30)] {
        life.claim_renewal(due + after);
        life.retry_later(due + after);
        life.renewal = Renewal::At(due + after);
        assert!(!life.is_renewal_overdue(due + after));
    }
    assert!(!life.is_renewal_overdue(due + seconds(59)));
    assert!(life.is_renewal_overdue(due + MINUTE));
    life.renewed(due + MINUTE, 10 * MINUTE, true);
    assert!(!life.is_renewal_overdue(due + MINUTE));
    let untried = Lifetime::new(now, 10 * MINUTE, true);
    assert!(untried.is_renewal_overdue(untried.next_renewal().expect("renewable") + MINUTE));
}

#[test]
fn what_vault_refuses_for_good_is_overdue_and_what_ends_as_granted_is_late_near_its_end() {
    let now = Instant::now();
    let mut life = Lifetime::new(now, MINUTE, true);
    life.refuse_renewals();
    assert!(life.is_renewal_overdue(now));
    let granted = Lifetime::new(now, MINUTE, false);
    for (after, is_late) in [(45, false), (49, false), (51, true)] {
        assert!(!granted.is_renewal_overdue(now + seconds(after)));
        assert_eq!(granted.is_replacement_late(now + seconds(after)), is_late, "{after}");
    }
}
