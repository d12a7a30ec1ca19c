//! A collector whose metrics come later than the registry: metrics are served before there is a
//! read path.

use std::fmt;
use std::sync::{Arc, OnceLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

/// A collector that has no metrics until it is given others' ones. Clones are the same collector.
#[derive(Debug, Clone, Default)]
pub(crate) struct LateCollector(Arc<OnceLock<Box<dyn Collector>>>);

impl LateCollector {
    /// Gives it the metrics of another collector. Only the first one counts.
    pub(crate) fn set(&self, collector: impl Collector) {
        let _ = self.0.set(Box::new(collector));
    }
}

impl Collector for LateCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.get().map_or(Ok(()), |collector| collector.encode(encoder))
    }
}
