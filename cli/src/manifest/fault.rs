//! A mistake in a manifest.

use coffer_provider::class::Position;

/// A mistake in a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ManifestFault {
    /// Where the mistake is, if the parser says so.
    pub(crate) at: Option<Position>,
    /// What is wrong, on one line.
    pub(crate) message: String,
}
