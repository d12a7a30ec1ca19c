//! The contract between the Secrets Store CSI driver and its providers.
//!
//! The code is generated from `proto/provider.proto` and committed, so that a build needs no
//! generator; `tests/generated.rs` checks that both agree.

mod redacted;

/// Version v1alpha1 of the contract, the only one: its messages, the client and the server.
#[allow(clippy::use_self, missing_docs, reason = "generated")]
#[path = "generated/v1alpha1.rs"]
#[rustfmt::skip]
pub mod v1alpha1;
