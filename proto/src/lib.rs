//! The contract between the Secrets Store CSI driver and its providers.
//!
//! The code is generated from `proto/provider.proto` and committed, so that a build needs no generator;
//! `tests/generated.rs` keeps the two in step.

mod redacted;

/// The contract's one version: its messages, and both ends of the service.
#[allow(clippy::use_self, missing_docs, reason = "generated")]
#[path = "generated/v1alpha1.rs"]
#[rustfmt::skip]
pub mod v1alpha1;
