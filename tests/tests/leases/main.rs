//! Leases: users of a real PostgreSQL that Vault issues for pods of a real kube-apiserver.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ends;
mod faults;
mod lifecycle;
mod restarts;
mod state_directory;

use std::process::ExitCode;

use coffer_tests::kubernetes::LeaseSetup;
use coffer_tests::{Suite, TestProgram};

fn main() -> ExitCode {
    // Tests that take servers away start their own.
    let suite = Suite::new(LeaseSetup::start)
        .module("ends", ends::tests)
        .module("faults", faults::tests)
        .module("lifecycle", lifecycle::tests)
        .module("restarts", restarts::tests)
        .module("state_directory", state_directory::tests);
    TestProgram::new().suite(suite).run()
}
