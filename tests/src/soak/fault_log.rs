//! Which faults were on when.

use std::time::Duration;

/// The faults so far.
#[derive(Debug, Default)]
pub(super) struct FaultLog(Vec<FaultSpan>);

/// A fault, from before its begin until everything that it stopped runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FaultSpan {
    pub(super) name: &'static str,
    /// The tenant that it concerns, if it is one alone.
    pub(super) tenant: Option<usize>,
    pub(super) begin: Duration,
    /// `None` while the fault is on.
    pub(super) end: Option<Duration>,
}

impl FaultLog {
    /// Notes the begin of a fault.
    pub(super) fn begin(&mut self, name: &'static str, tenant: Option<usize>, now: Duration) {
        self.0.push(FaultSpan { name, tenant, begin: now, end: None });
    }

    /// Notes the end of the latest fault.
    pub(super) fn end(&mut self, now: Duration) {
        if let Some(span) = self.0.last_mut() {
            span.end = Some(now);
        }
    }

    /// Returns the faults so far.
    pub(super) fn spans(&self) -> &[FaultSpan] {
        &self.0
    }

    /// Returns how long a fault was on between two times.
    pub(super) fn length(&self, from: Duration, to: Duration) -> Duration {
        let part = |span: &FaultSpan| {
            let end = span.end.unwrap_or(to).min(to);
            end.saturating_sub(span.begin.max(from))
        };
        self.0.iter().map(part).sum()
    }

    /// Returns how many faults were on between two times.
    pub(super) fn count(&self, from: Duration, to: Duration) -> u32 {
        self.during(from, to).map(|_| 1).sum()
    }

    /// Returns how often a fault of that name was on between two times.
    pub(super) fn times(&self, name: &str, from: Duration, to: Duration) -> u32 {
        self.during(from, to).filter(|span| span.name == name).map(|_| 1).sum()
    }

    /// Returns whether a fault of that name concerned a tenant between two times.
    pub(super) fn concerned(&self, name: &str, tenant: usize, from: Duration, to: Duration) -> bool {
        self.during(from, to).any(|span| span.name == name && span.tenant == Some(tenant))
    }

    /// Returns the names of the faults that were on within `before` until `now`.
    pub(super) fn on(&self, now: Duration, before: Duration) -> Vec<&'static str> {
        self.during(now.saturating_sub(before), now).map(|span| span.name).collect()
    }

    /// Returns the faults that were on between two times.
    fn during(&self, from: Duration, to: Duration) -> impl Iterator<Item = &FaultSpan> {
        self.0.iter().filter(move |span| span.was_on(from, to))
    }
}

impl FaultSpan {
    fn was_on(&self, from: Duration, to: Duration) -> bool {
        self.begin <= to && self.end.is_none_or(|end| end >= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_faults_is_counted_within_the_two_times() {
        let at = Duration::from_secs;
        let mut log = FaultLog::default();
        log.begin("one", Some(3), at(10));
        log.end(at(20));
        log.begin("two", None, at(60));
        assert_eq!(log.length(at(0), at(15)), at(5));
        assert_eq!(log.length(at(12), at(65)), at(13));
        assert_eq!(log.length(at(30), at(50)), at(0));
        assert!(log.concerned("one", 3, at(15), at(30)) && !log.concerned("one", 3, at(21), at(30)));
        assert!(!log.concerned("one", 2, at(15), at(30)) && !log.concerned("two", 3, at(61), at(62)));
        assert_eq!([log.times("one", at(15), at(30)), log.times("one", at(21), at(30))], [1, 0]);
        assert_eq!(log.on(at(25), at(5)), ["one"]);
        assert_eq!(log.on(at(61), at(5)), ["two"]);
        assert!(log.on(at(40), at(5)).is_empty());
    }
}
