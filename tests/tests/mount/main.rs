//! Mounts by `coffer-csi`, called as the CSI driver calls it, against an OpenBao or a fake Vault.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytes;
mod class_errors;
mod concurrency;
mod contents;
mod credentials;
mod foreign_servers;
mod hostile_text;
mod metrics_and_health;
mod node;
mod old_drivers;
mod optional;
mod output;
mod policy;
mod secrets_in_output;
mod settings;
mod shutdown;
mod socket;
mod templates;
mod versions;
