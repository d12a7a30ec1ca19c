//! Limits how many lines a tenant can cause, so that the log stays readable and cheap.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines a second, and at once, about one namespace.
const OF_NAMESPACE: Rate = Rate { per_second: 5.0, burst: 50.0 };

/// Lines a second, and at once, from one place of the code and about no namespace.
const OF_PLACE: Rate = Rate { per_second: 50.0, burst: 500.0 };

/// Namespaces that are counted each by itself; further ones share one count.
const MAX_NAMESPACES: usize = 1024;

/// The name of that count.
const OTHERS: &str = "(others)";

/// While lines are left out without a pause, this is said so often.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// The target of the reports themselves.
const REPORTS: &str = "line_limit";

#[derive(Clone, Copy)]
struct Rate {
    per_second: f64,
    burst: f64,
}

/// A layer that leaves out lines beyond the limits.
#[derive(Clone)]
pub(super) struct LineLimit {
    /// The target whose lines are never left out.
    always: Option<&'static str>,
    counts: Arc<Mutex<LineCounts>>,
}

#[derive(Default)]
struct LineCounts {
    namespaces: HashMap<String, LineCount>,
    places: HashMap<Identifier, LineCount>,
}

/// A token bucket, and the lines that found it empty.
struct LineCount {
    left: f64,
    at: Instant,
    left_out: u64,
    reported: Instant,
}

/// Lines that were left out.
#[derive(Debug, PartialEq, Eq)]
struct LeftOut {
    namespace: Option<String>,
    lines: u64,
}

impl LineLimit {
    pub(super) fn new(always: Option<&'static str>) -> Self {
        Self { always, counts: Arc::default() }
    }

    /// Logs how many lines were left out, of each namespace that has become quiet.
    pub(super) fn report(&self) {
        let due = self.lock().due(Instant::now());
        for LeftOut { namespace, lines } in due {
            tracing::warn!(target: REPORTS, namespace, lines, "log lines were left out");
        }
    }

    fn allows(&self, event: &Event<'_>, now: Instant) -> bool {
        let metadata = event.metadata();
        let is_exempt = metadata.target() == REPORTS || Some(metadata.target()) == self.always;
        if is_exempt || *metadata.level() > Level::INFO {
            return true;
        }
        let mut namespace = NamespaceField(None);
        event.record(&mut namespace);
        let mut counts = self.lock();
        match namespace.0 {
            Some(namespace) => counts.of_namespace(namespace, now).take(OF_NAMESPACE, now),
            None => {
                let count = counts.places.entry(metadata.callsite());
                count.or_insert_with(|| LineCount::new(OF_PLACE, now)).take(OF_PLACE, now)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, LineCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for LineLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.allows(event, Instant::now())
    }
}

impl LineCounts {
    fn of_namespace(&mut self, namespace: String, now: Instant) -> &mut LineCount {
        let is_known = self.namespaces.contains_key(&namespace);
        if !is_known && self.namespaces.len() >= MAX_NAMESPACES {
            self.namespaces.retain(|_, count| !count.is_idle(OF_NAMESPACE, now));
        }
        let has_room = is_known || self.namespaces.len() < MAX_NAMESPACES;
        let name = if has_room { namespace } else { OTHERS.to_owned() };
        self.namespaces.entry(name).or_insert_with(|| LineCount::new(OF_NAMESPACE, now))
    }

    fn due(&mut self, now: Instant) -> Vec<LeftOut> {
        let namespaces = self.namespaces.iter_mut().map(|(name, count)| (Some(name), OF_NAMESPACE, count));
        let places = self.places.values_mut().map(|count| (None, OF_PLACE, count));
        let due = namespaces.chain(places).filter_map(|(namespace, rate, count)| {
            let lines = count.due(rate, now)?;
            Some(LeftOut { namespace: namespace.cloned(), lines })
        });
        due.collect()
    }
}

impl LineCount {
    fn new(rate: Rate, now: Instant) -> Self {
        Self { left: rate.burst, at: now, left_out: 0, reported: now }
    }

    fn take(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        let allowed = self.left >= 1.0;
        if allowed {
            self.left -= 1.0;
        } else {
            if self.left_out == 0 {
                self.reported = now;
            }
            self.left_out += 1;
        }
        allowed
    }

    /// Returns the number of lines left out, once it is quiet again or has lasted long.
    fn due(&mut self, rate: Rate, now: Instant) -> Option<u64> {
        self.refill(rate, now);
        let is_quiet = self.left >= rate.per_second;
        let is_due = is_quiet || now.saturating_duration_since(self.reported) >= REPORT_INTERVAL;
        if self.left_out == 0 || !is_due {
            return None;
        }
        self.reported = now;
        Some(std::mem::take(&mut self.left_out))
    }

    fn is_idle(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        self.left_out == 0 && self.left >= rate.burst
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * rate.per_second).min(rate.burst);
        self.at = now;
    }
}

/// Reads the field `namespace` of an event.
struct NamespaceField(Option<String>);

impl Visit for NamespaceField {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "namespace" {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "namespace" {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use tracing::{Event, Subscriber};
    use tracing_subscriber::layer::{Context, SubscriberExt};
    use tracing_subscriber::{Layer, Registry};

    use super::{LeftOut, LineCounts, LineLimit, MAX_NAMESPACES, OF_NAMESPACE, OTHERS};

    struct CountedLines(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for CountedLines {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the number of lines that `log` causes.
    fn lines(log: impl FnOnce()) -> usize {
        let count = Arc::new(AtomicUsize::new(0));
        let registry = Registry::default().with(LineLimit::new(Some("audit")));
        tracing::subscriber::with_default(registry.with(CountedLines(Arc::clone(&count))), log);
        count.load(Ordering::Relaxed)
    }

    #[test]
    fn lines_about_one_namespace_are_limited_and_those_of_others_are_not() {
        let flood = |namespace: &str| (0..400).for_each(|_| tracing::warn!(namespace, "mount failed"));
        let one = lines(|| flood("loud"));
        assert!((50..200).contains(&one), "{one}");
        let both = lines(|| {
            flood("loud");
            tracing::info!(namespace = %"quiet", "mount failed");
        });
        assert!(both > 50 && both < 250, "{both}");
    }

    #[test]
    fn the_audit_and_debug_lines_are_never_left_out() {
        let all = lines(|| {
            for _ in 0..600 {
                tracing::info!(target: "audit", namespace = "loud", "read");
                tracing::debug!(namespace = "loud", "mounted");
            }
        });
        assert_eq!(all, 1200);
    }

    #[test]
    fn lines_about_no_namespace_are_limited_for_each_place() {
        let all = lines(|| {
            (0..5000).for_each(|_| tracing::error!("one"));
            tracing::error!("another");
        });
        assert!((501..3000).contains(&all), "{all}");
    }

    #[test]
    fn what_was_left_out_is_reported_when_it_is_quiet_again() {
        let (mut counts, start) = (LineCounts::default(), Instant::now());
        for _ in 0..53 {
            counts.of_namespace("loud".to_owned(), start).take(OF_NAMESPACE, start);
        }
        assert_eq!(counts.due(start), []);
        let report = LeftOut { namespace: Some("loud".to_owned()), lines: 3 };
        assert_eq!(counts.due(start + Duration::from_secs(2)), [report]);
        assert_eq!(counts.due(start + Duration::from_secs(90)), []);
    }

    #[test]
    fn what_lasts_is_reported_every_minute() {
        let (mut counts, start) = (LineCounts::default(), Instant::now());
        let mut reports = 0;
        for tenth in 0..1300 {
            let now = start + Duration::from_millis(tenth * 100);
            for _ in 0..20 {
                counts.of_namespace("loud".to_owned(), now).take(OF_NAMESPACE, now);
            }
            reports += counts.due(now).len();
        }
        assert_eq!(reports, 2);
    }

    #[test]
    fn the_number_of_namespaces_is_bounded() {
        let (counts, start) = (Mutex::new(LineCounts::default()), Instant::now());
        let mut counts = counts.lock().expect("no holder panics");
        for n in 0..2 * MAX_NAMESPACES {
            counts.of_namespace(n.to_string(), start).take(OF_NAMESPACE, start);
        }
        assert_eq!(counts.namespaces.len(), MAX_NAMESPACES + 1);
        assert!(counts.namespaces.contains_key(OTHERS));
        counts.of_namespace("later".to_owned(), start + Duration::from_secs(60));
        assert_eq!(counts.namespaces.len(), 2, "the new one, and the others' lines to report");
    }
}
