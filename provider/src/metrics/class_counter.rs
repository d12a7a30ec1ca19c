//! Counters by namespace and class, whose number is bounded.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coffer_shares::{Priority, Share, Shares};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::class_labels::ClassLabels;

/// Time without a count after which a series gives its place to a new one that finds none.
const GIVES_WAY_AFTER: Duration = Duration::from_secs(3600);

/// Time without a count after which a series is removed. Longer than any usual interval of
/// rotation: a series that comes again begins at zero, and a rate does not see its first count.
const REMOVED_AFTER: Duration = Duration::from_secs(86_400);

/// Counts by namespace, class and the labels `W`. At most a number of series have namespace and
/// class, which namespaces share; what finds no place counts under `_other`.
pub struct ClassCounter<W> {
    name: &'static str,
    help: &'static str,
    places: Shares,
    counts: Mutex<Counts<W>>,
}

struct Counts<W> {
    own: BTreeMap<ClassLabels<W>, Series>,
    /// What has no series of its own.
    other: BTreeMap<ClassLabels<W>, u64>,
}

struct Series {
    count: u64,
    last: Instant,
    _place: Share,
}

impl<W: Ord + Clone> ClassCounter<W> {
    /// Returns a counter with at most `most` series of classes. `name` is without prefix and
    /// `_total`.
    #[must_use]
    pub fn new(name: &'static str, help: &'static str, most: usize) -> Self {
        let counts = Counts { own: BTreeMap::new(), other: BTreeMap::new() };
        Self { name, help, places: Shares::new(most), counts: Mutex::new(counts) }
    }

    /// Adds one to the series of a class.
    pub fn count(&self, namespace: &str, class: &str, more: W) {
        self.count_at(ClassLabels::new(namespace, class, more), Instant::now());
    }

    fn count_at(&self, labels: ClassLabels<W>, now: Instant) {
        let mut counts = self.lock();
        if let Some(series) = counts.own.get_mut(&labels) {
            series.count += 1;
            series.last = now;
            return;
        }
        match self.place(&mut counts, &labels, now) {
            Some(place) => drop(counts.own.insert(labels, Series { count: 1, last: now, _place: place })),
            None => *counts.other.entry(labels.into_other()).or_default() += 1,
        }
    }

    fn place(&self, counts: &mut Counts<W>, labels: &ClassLabels<W>, now: Instant) -> Option<Share> {
        if labels.is_other() {
            return None;
        }
        let take = || self.places.try_take(labels.namespace(), 1, Priority::Common);
        take().or_else(|| {
            counts.remove_idle(GIVES_WAY_AFTER, now);
            take()
        })
    }

    fn lock(&self) -> MutexGuard<'_, Counts<W>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Ord> Counts<W> {
    fn remove_idle(&mut self, time: Duration, now: Instant) {
        self.own.retain(|_, series| now.saturating_duration_since(series.last) < time);
    }
}

impl<W: EncodeLabelSet + Ord + Clone + Send + 'static> Collector for ClassCounter<W> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut counts = self.lock();
        counts.remove_idle(REMOVED_AFTER, Instant::now());
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, MetricType::Counter)?;
        let own = counts.own.iter().map(|(labels, series)| (labels, series.count));
        for (labels, count) in own.chain(counts.other.iter().map(|(labels, count)| (labels, *count))) {
            metric.encode_family(labels)?.encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
        }
        Ok(())
    }
}

impl<W> Debug for ClassCounter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClassCounter").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::{ClassCounter, GIVES_WAY_AFTER, REMOVED_AFTER};
    use crate::metrics::class_labels::ClassLabels;

    type Outcome = [(&'static str, &'static str); 1];

    const GOOD: Outcome = [("outcome", "mounted")];
    const BAD: Outcome = [("outcome", "denied")];

    fn counter(most: usize) -> Arc<ClassCounter<Outcome>> {
        Arc::new(ClassCounter::new("class_mounts", "Mounts by class.", most))
    }

    fn text(counter: &Arc<ClassCounter<Outcome>>) -> String {
        let (mut registry, mut text) = (Registry::default(), String::new());
        registry.register_collector(Box::new(Arc::clone(counter)));
        encode(&mut text, &registry).expect("a text");
        text
    }

    #[test]
    fn each_class_and_outcome_has_a_series() {
        let counter = counter(500);
        for (class, outcome) in [("db", GOOD), ("db", GOOD), ("db", BAD), ("tls", GOOD)] {
            counter.count("shop", class, outcome);
        }
        let expected = "# HELP class_mounts Mounts by class.\n\
            # TYPE class_mounts counter\n\
            class_mounts_total{namespace=\"shop\",class=\"db\",outcome=\"denied\"} 1\n\
            class_mounts_total{namespace=\"shop\",class=\"db\",outcome=\"mounted\"} 2\n\
            class_mounts_total{namespace=\"shop\",class=\"tls\",outcome=\"mounted\"} 1\n\
            # EOF\n";
        assert_eq!(text(&counter), expected);
    }

    #[test]
    fn a_namespace_with_thousands_of_classes_leaves_others_their_series() {
        let counter = counter(500);
        (0..10_000).for_each(|n| counter.count("hostile", &format!("c{n}"), GOOD));
        (0..100).for_each(|n| counter.count(&format!("team-{n}"), "db", BAD));
        let text = text(&counter);
        assert_eq!(text.lines().filter(|line| line.contains("hostile")).count(), 250);
        assert_eq!(text.lines().filter(|line| line.contains("team-")).count(), 100);
        let other = "class_mounts_total{namespace=\"_other\",class=\"_other\",outcome=\"mounted\"} 9750\n";
        assert!(text.contains(other), "{text}");
    }

    #[test]
    fn what_is_idle_gives_way_and_goes() {
        let counter = counter(2);
        let began = Instant::now();
        let count = |namespace: &str, after: Duration| {
            counter.count_at(ClassLabels::new(namespace, "c", GOOD), began + after);
        };
        let own =
            || counter.lock().own.keys().map(|labels| labels.namespace().to_owned()).collect::<Vec<_>>();
        count("a", Duration::ZERO);
        count("b", Duration::from_secs(1));
        count("c", GIVES_WAY_AFTER - Duration::from_secs(1));
        assert_eq!(own(), ["a", "b"]);
        count("b", GIVES_WAY_AFTER - Duration::from_secs(1));
        count("c", GIVES_WAY_AFTER);
        assert_eq!(own(), ["b", "c"]);
        assert_eq!(counter.lock().other.values().sum::<u64>(), 1);
        counter.lock().remove_idle(REMOVED_AFTER, began + GIVES_WAY_AFTER + REMOVED_AFTER);
        assert!(own().is_empty());
        assert_eq!(counter.places.taken(), 0);
    }
}
