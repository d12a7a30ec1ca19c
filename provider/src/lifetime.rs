//! Lifetimes of tokens and leases: when they end, are renewed, and need a replacement.

use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};

/// Maximum difference of two ends that count as the same. Vault's TTLs are whole seconds.
const SAME_END: Duration = Duration::from_millis(1500);

/// Minimum wait before another renewal, after one that did not extend the lifetime.
const SHORTEST_RECHECK: Duration = Duration::from_secs(3);

/// Minimum time between a grant and its renewal. What is granted for less is issued anew instead.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Minimum wait before a failed renewal is tried again.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);

/// Maximum wait before a failed renewal is tried again.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Time after which a renewal that is due and was not granted is overdue.
const OVERDUE_AFTER: Duration = Duration::from_secs(60);

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
    /// When the renewal was due that has failed ever since.
    pub(crate) failing_since: Option<Instant>,
    /// When the token or lease ends if Vault granted a renewal whose answer was lost.
    pub(crate) lost_until: Option<Instant>,
}

/// When the next renewal is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The renewal is due at this time.
    At(Instant),
    /// The renewal was due at this time, and is in progress.
    InProgress(Instant),
    /// The lease manager renews no further.
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
        let is_renewed = renewable && granted > SHORTEST_INTERVAL;
        let renewal = if is_renewed { Renewal::At(renewal_time(asked, granted)) } else { Renewal::Never };
        Self {
            granted,
            full_ttl: granted,
            until: asked + granted,
            renewal,
            last: LastRenewal::Granted,
            failing_since: None,
            lost_until: None,
        }
    }

    /// Returns whether the lifetime has ended.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until <= now
    }

    /// Returns whether Vault may know the token or lease still, by a grant whose answer was lost.
    pub(crate) fn may_last(&self, now: Instant) -> bool {
        now < self.lost_until.map_or(self.until, |lost| lost.max(self.until))
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

    /// Returns whether a renewal is in progress.
    pub(crate) fn is_claimed(&self) -> bool {
        matches!(self.renewal, Renewal::InProgress(_))
    }

    /// Releases a claim without a result, so that the renewal is due again.
    pub(crate) fn release_claim(&mut self) {
        if let Renewal::InProgress(at) = self.renewal {
            self.renewal = Renewal::At(at);
        }
    }

    /// Returns whether a replacement is due: less than a third is left, and Vault refused the last
    /// renewal or renews no further.
    pub(crate) fn needs_replacement(&self, now: Instant) -> bool {
        let is_last = self.renewal == Renewal::Never || self.last == LastRenewal::Refused;
        is_last && self.is_in_last_third(now)
    }

    /// Returns whether a replacement is due because Vault refused the last renewal.
    pub(crate) fn is_refused_and_due(&self, now: Instant) -> bool {
        self.last == LastRenewal::Refused && self.needs_replacement(now) && !self.is_over(now)
    }

    /// Returns whether a renewal has been due for some time without being granted, or Vault refused
    /// it for good.
    pub(crate) fn is_renewal_overdue(&self, now: Instant) -> bool {
        match self.renewal {
            Renewal::At(at) | Renewal::InProgress(at) => {
                self.failing_since.unwrap_or(at) + OVERDUE_AFTER <= now
            }
            Renewal::Never => self.last == LastRenewal::Refused,
        }
    }

    /// Returns whether a replacement that is due is late: half of the time for it is over.
    pub(crate) fn is_replacement_late(&self, now: Instant) -> bool {
        self.needs_replacement(now) && self.left(now) * 6 < self.full_ttl
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

    /// Sets the lifetime of a token to what Vault granted by a renewal that was requested at
    /// `asked`. Without a TTL the token is renewed no further.
    pub(crate) fn renewed_token(&mut self, asked: Instant, ttl: Option<Duration>, renewable: bool) {
        match ttl {
            Some(ttl) => self.renewed(asked, ttl, renewable),
            None => self.end_renewals(),
        }
    }

    /// Sets the lifetime to what Vault granted to a mount after it refused the renewal before.
    /// If the end is near all the same, a replacement stays due.
    pub(crate) fn renewed_after_refusal(&mut self, asked: Instant, ttl: Option<Duration>, renewable: bool) {
        self.last = LastRenewal::Granted;
        self.renewed_token(asked, ttl, renewable);
        if self.is_in_last_third(asked) {
            self.last = LastRenewal::Refused;
        }
    }

    /// Schedules the retry of a renewal that failed: sooner if less time is left, and with jitter,
    /// so that an outage of Vault is not followed by all retries at once.
    pub(crate) fn retry_later(&mut self, now: Instant) {
        if let Renewal::At(due) | Renewal::InProgress(due) = self.renewal {
            self.failing_since.get_or_insert(due);
        }
        let wait = (self.left(now) / 4).clamp(SHORTEST_RETRY, LONGEST_RETRY);
        self.renewal = Renewal::At(now + wait.mul_f64(0.5 + 0.5 * fraction()));
        self.last = LastRenewal::Failed;
    }

    /// Schedules the retry of a renewal that was requested at `asked` and whose answer was lost:
    /// Vault may have granted it.
    pub(crate) fn retry_lost(&mut self, asked: Instant, now: Instant) {
        self.retry_later(now);
        self.note_lost(asked);
    }

    /// Notes that Vault may have granted a renewal that was requested at `asked`, and whose answer
    /// did not arrive.
    pub(crate) fn note_lost(&mut self, asked: Instant) {
        self.lost_until = Some(asked + self.full_ttl);
    }

    /// Schedules the retry of a renewal that Vault refused.
    pub(crate) fn retry_refused(&mut self, now: Instant) {
        self.retry_later(now);
        self.last = LastRenewal::Refused;
    }

    /// Notes that there is nothing to renew any more.
    fn end_renewals(&mut self) {
        self.renewal = Renewal::Never;
    }

    /// Notes that Vault refused to renew, and that the lease manager tries it no more.
    pub(crate) fn refuse_renewals(&mut self) {
        self.end_renewals();
        self.last = LastRenewal::Refused;
    }

    fn is_in_last_third(&self, now: Instant) -> bool {
        self.left(now) * 3 < self.full_ttl
    }

    /// Returns the time until the end.
    fn left(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }
}

/// Returns when a renewal is due: after two thirds of the TTL, or up to a tenth of that sooner, so
/// that leases that were granted together are not renewed together.
fn renewal_time(asked: Instant, granted: Duration) -> Instant {
    asked + granted.mul_f64(2.0 / 3.0 * (1.0 - 0.1 * fraction())).max(SHORTEST_INTERVAL)
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
mod tests;
