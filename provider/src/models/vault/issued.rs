//! What the fake has issued, and what the agent can know of it.

use std::time::Duration;

use tokio::time::Instant;

/// A token.
pub(in crate::models) struct IssuedToken {
    pub(in crate::models) pod: String,
    pub(in crate::models) role: String,
    pub(super) denied: Vec<String>,
    pub(super) term: Term,
    pub(in crate::models) is_revoked: bool,
    /// Whether a request was made with it.
    pub(in crate::models) is_used: bool,
    /// Whether a request with it was denied.
    pub(super) was_denied: bool,
    /// Whether no agent has a record of it any more, so that none can revoke it.
    pub(in crate::models) is_abandoned: bool,
}

/// What was issued to a token: a lease, or a certificate without one.
pub(in crate::models) struct IssuedItem {
    pub(super) path: String,
    /// The index of the token.
    pub(super) token: usize,
    pub(in crate::models) term: Term,
    /// Whether it ends with its token.
    pub(super) is_lease: bool,
    pub(super) is_revoked: bool,
    /// Whether an operator revoked it, or its token, behind the agent's back.
    pub(in crate::models) is_revoked_behind: bool,
    /// Whether no volume of the pod uses it any more.
    pub(in crate::models) is_released: bool,
}

/// The time of a token, lease or certificate.
pub(in crate::models) struct Term {
    pub(super) began: Instant,
    pub(super) ttl: Duration,
    pub(super) until: Instant,
    /// When it ends at the latest, however often it is renewed.
    pub(super) latest: Instant,
    /// The end by the last grant that reached the agent.
    pub(super) known_until: Instant,
    /// When the last grant reached the agent; none if no answer did.
    pub(super) known_at: Option<Instant>,
    /// A time, and the number of renewals in the second that began then.
    pub(super) renewals: (Instant, usize),
    /// Whether leases were kept when it was issued.
    pub(super) was_kept: bool,
    /// Whether the agent cannot know of it any more.
    pub(in crate::models) is_forgotten: bool,
}

impl Term {
    pub(super) fn new(now: Instant, (ttl, latest): (u64, u64), was_kept: bool) -> Self {
        let ttl = Duration::from_secs(ttl);
        Self {
            began: now,
            ttl,
            until: now + ttl,
            latest: now + Duration::from_secs(latest),
            known_until: now + ttl,
            known_at: None,
            renewals: (now, 0),
            was_kept,
            is_forgotten: false,
        }
    }

    /// Extends the term, and returns the seconds that are granted.
    pub(super) fn renew(&mut self, now: Instant) -> u64 {
        self.until = self.latest.min(now + self.ttl);
        self.until.saturating_duration_since(now).as_secs()
    }

    /// Notes that a grant of so many seconds reached the agent, `asked` at this time.
    pub(super) fn note_known(&mut self, asked: Instant, seconds: u64, now: Instant) {
        self.known_until = asked + Duration::from_secs(seconds);
        self.known_at = Some(now);
    }

    /// Returns whether there was a grant since then, or one reached the agent.
    pub(super) fn is_granted_since(&self, since: Instant) -> bool {
        self.renewals.0 >= since || self.known_at.is_some_and(|at| at >= since)
    }

    pub(in crate::models) fn is_renewed(&self) -> bool {
        self.until > self.began + self.ttl
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until <= now
    }

    /// Returns whether the agent knows of it, and the end is far by what the agent knows.
    pub(super) fn is_known_good(&self, now: Instant) -> bool {
        let left = self.known_until.saturating_duration_since(now);
        !self.is_forgotten && self.known_at.is_some() && left * 3 >= self.ttl + Duration::from_secs(6)
    }

    /// Forgets what reached the agent never, or at `since` or later, or while no leases were kept.
    pub(super) fn forget_since(&mut self, since: Option<Instant>) {
        let is_lost = |at: Instant| since.is_some_and(|since| at >= since);
        self.is_forgotten |= !self.was_kept || self.known_at.is_none_or(is_lost);
    }
}
