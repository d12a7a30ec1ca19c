//! Metrics of the volumes whose latest mount failed, computed at each scrape.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use coffer_provider::{ClassLabels, capped};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::volumes::Volumes;

/// No labels besides namespace and class.
type NoMore = [(&'static str, &'static str); 0];

/// Values by namespace and class.
type ByClass<V> = BTreeMap<ClassLabels<NoMore>, V>;

/// The metrics of volumes whose latest mount failed.
pub(super) struct FailingMetrics {
    pub(super) volumes: Arc<Volumes>,
    /// Series of one metric, at most.
    pub(super) most_series: usize,
}

impl Collector for FailingMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (mut failing, mut stale) = (ByClass::<usize>::new(), ByClass::<f64>::new());
        for volume in self.volumes.failing(Instant::now()) {
            let labels = ClassLabels::new(&volume.namespace, &volume.class, []);
            if let Some(time) = volume.good_before {
                let most = stale.entry(labels.clone()).or_default();
                *most = most.max(time.as_secs_f64());
            }
            *failing.entry(labels).or_default() += 1;
        }
        let (name, help) = ("failing_volumes", "Volumes whose latest mount failed, by class.");
        encode(&mut encoder, (name, help, None), &capped(failing, self.most_series, |a, b| a + b))?;
        let (name, help) = (
            "volume_staleness",
            "The longest time since the last good mount of a volume whose latest mount failed, by class.",
        );
        encode(&mut encoder, (name, help, Some(&Unit::Seconds)), &capped(stale, self.most_series, f64::max))
    }
}

fn encode<V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, unit): (&str, &str, Option<&Unit>),
    values: &ByClass<V>,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    values.iter().try_for_each(|(labels, value)| metric.encode_family(labels)?.encode_gauge(value))
}

impl fmt::Debug for FailingMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FailingMetrics")
    }
}
