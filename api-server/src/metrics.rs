//! Metrics of the API server, in Prometheus' text format. No label has a value that a user can
//! choose.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Counts of requests and times of reads, beside the metrics of the read path.
pub(crate) struct ApiMetrics {
    requests: Family<ApiRequestLabels, Counter>,
    read_seconds: Histogram,
    registry: Registry,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiRequestLabels {
    kind: &'static str,
    code: u16,
}

impl ApiMetrics {
    pub(crate) fn new(read_path: &Arc<coffer_provider::ReadMetrics>) -> Self {
        let requests = Family::default();
        let read_seconds =
            Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
        let mut registry = Registry::with_prefix("coffer_api");
        registry.register("requests", "Requests by kind and HTTP status", Family::clone(&requests));
        registry.register_with_unit("read_duration", "Time of a read", Unit::Seconds, read_seconds.clone());
        read_path.register(&mut registry);
        Self { requests, read_seconds, registry }
    }

    /// Counts an answered request.
    pub(crate) fn answered(&self, kind: &'static str, code: u16) {
        self.requests.get_or_create(&ApiRequestLabels { kind, code }).inc();
    }

    /// Records the time of a read.
    pub(crate) fn read(&self, took: Duration) {
        self.read_seconds.observe(took.as_secs_f64());
    }

    /// Returns all metrics as text; `None` where they cannot be written.
    pub(crate) fn text(&self) -> Option<String> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).ok().map(|()| text)
    }
}
