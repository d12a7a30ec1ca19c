//! Metrics of the node agent, as OpenMetrics text.

mod failing;

use std::sync::Arc;
use std::time::Duration;

use coffer_kubernetes::{CachedVersionKey, EventObserver, EventOutcome};
use coffer_provider::{ClassCounter, ErrorKind, ReadMetrics};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use self::failing::FailingMetrics;
use crate::volumes::Volumes;

/// Metrics of mounts, beside those of the read path.
#[derive(Debug)]
pub(crate) struct AgentMetrics {
    mounts: Family<MountLabels, Counter>,
    class_mounts: Arc<ClassCounter<MountLabels>>,
    seconds: Histogram,
    events: Family<EventLabels, Counter>,
    /// Mounts that are not answered yet.
    pub(crate) in_progress: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct MountLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    outcome: &'static str,
}

/// How a mount ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MountOutcome {
    Mounted,
    Failed(ErrorKind),
}

impl AgentMetrics {
    /// Returns metrics of which one has at most `most_series` series with namespace and class.
    pub(crate) fn new(most_series: usize) -> Self {
        let help = "Mounts by namespace, class and outcome.";
        let seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
        Self {
            mounts: Family::default(),
            class_mounts: Arc::new(ClassCounter::new("class_mounts", help, most_series)),
            seconds: Histogram::new(seconds),
            events: Family::default(),
            in_progress: Gauge::default(),
        }
    }

    /// Returns a registry with all metrics; those of leases only where `with_leases`.
    pub(crate) fn registry(
        &self,
        read_path: &ReadMetrics,
        key: &Arc<CachedVersionKey>,
        volumes: &Arc<Volumes>,
        with_leases: bool,
    ) -> Registry {
        let mut registry = Registry::with_prefix("coffer");
        registry.register("mounts", "Mounts by outcome", self.mounts.clone());
        registry.register_collector(Box::new(Arc::clone(&self.class_mounts)));
        registry.register_with_unit("mount_duration", "Time of a mount", Unit::Seconds, self.seconds.clone());
        registry.register("mounts_in_progress", "Mounts not answered yet", self.in_progress.clone());
        // from zero on, so that an alert on an increase sees the first one
        for outcome in EventOutcome::ALL {
            drop(self.events.get_or_create(&EventLabels::of(outcome)));
        }
        registry.register("events", "Reports of pods by what became of them", self.events.clone());
        read_path.register(&mut registry);
        if with_leases {
            read_path.register_leases(&mut registry);
        }
        let (volumes, most_series) = (Arc::clone(volumes), read_path.most_series());
        registry.register_collector(Box::new(FailingMetrics { volumes, most_series }));
        registry.register_collector(Box::new(KeyAge(Arc::clone(key))));
        registry
    }

    /// Counts a mount of a class.
    pub(crate) fn mounted_class(&self, namespace: &str, class: &str, outcome: MountOutcome) {
        self.class_mounts.count(namespace, class, MountLabels { outcome: outcome.label() });
    }

    /// Counts a mount that ended.
    pub(crate) fn mounted(&self, outcome: MountOutcome, time: Duration) {
        self.mounts.get_or_create(&MountLabels { outcome: outcome.label() }).inc();
        self.seconds.observe(time.as_secs_f64());
    }
}

impl EventObserver for AgentMetrics {
    fn event(&self, outcome: EventOutcome) {
        self.events.get_or_create(&EventLabels::of(outcome)).inc();
    }
}

impl EventLabels {
    fn of(outcome: EventOutcome) -> Self {
        let outcome = match outcome {
            EventOutcome::Sent => "sent",
            EventOutcome::Merged => "merged",
            EventOutcome::Dropped => "dropped",
            EventOutcome::Refused => "refused",
            EventOutcome::Failed => "failed",
        };
        Self { outcome }
    }
}

impl MountOutcome {
    /// Returns the value of the label.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Mounted => "mounted",
            Self::Failed(kind) => match kind {
                ErrorKind::InvalidRequest => "invalid_request",
                ErrorKind::InvalidClass => "invalid_class",
                ErrorKind::Misconfigured => "misconfigured",
                ErrorKind::NoToken => "no_token",
                ErrorKind::LoginRefused => "login_refused",
                ErrorKind::Denied => "denied",
                ErrorKind::RefusedByPolicy => "refused_by_policy",
                ErrorKind::Issues => "issues",
                ErrorKind::NotFound => "not_found",
                ErrorKind::BadAnswer => "bad_answer",
                ErrorKind::Unavailable => "unavailable",
                ErrorKind::TimedOut => "timed_out",
                ErrorKind::TooLarge => "too_large",
                ErrorKind::OverLimit => "over_limit",
                ErrorKind::NoVersionKey => "no_version_key",
                ErrorKind::Internal => "internal",
            },
        }
    }
}

/// Computes the age of the key whenever metrics are read.
struct KeyAge(Arc<CachedVersionKey>);

impl std::fmt::Debug for KeyAge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyAge")
    }
}

impl Collector for KeyAge {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(age) = self.0.age_seconds() else {
            return Ok(());
        };
        let gauge = ConstGauge::new(age);
        let help = "Time since the key of the versions was last read.";
        let metric = encoder.encode_descriptor(
            "version_key_age",
            help,
            Some(&Unit::Seconds),
            EncodeMetric::metric_type(&gauge),
        )?;
        gauge.encode(metric)
    }
}
