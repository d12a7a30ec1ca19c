//! Templates: Coffer's files and those of consul-template with Go's `text/template`, for the same
//! texts and the same answers of Vault.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod compared;
mod document;
mod generated;
mod parts;
mod written;
