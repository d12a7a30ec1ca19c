//! Leases: users of a real PostgreSQL that Vault issues for pods of a real kube-apiserver.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ends;
mod faults;
mod lifecycle;
mod many_pods;
mod output;
mod pod_events;
mod restarts;
mod state_directory;
mod static_roles;

use std::process::ExitCode;

use coffer_tests::kubernetes::LeaseSetup;
use coffer_tests::{LeaseTtls, Suite, TestProgram};

/// A TTL whose renewal a test can wait for.
const SHORT: LeaseTtls<'static> = LeaseTtls { ttl: "10s", max_ttl: "1h" };

/// A TTL that needs no renewal during a test.
const LONG: LeaseTtls<'static> = LeaseTtls { ttl: "1h", max_ttl: "24h" };

fn main() -> ExitCode {
    // Tests that take servers away start their own.
    let beside_each_other = Suite::new(LeaseSetup::start)
        .module("ends", ends::tests)
        .module("faults", faults::tests)
        .module("lifecycle", lifecycle::tests)
        .module("output", output::tests)
        .module("pod_events", pod_events::tests)
        .module("restarts", restarts::tests)
        .module("state_directory", state_directory::tests)
        .module("static_roles", static_roles::tests);
    let alone = Suite::new(LeaseSetup::start).module("many_pods", many_pods::tests);
    TestProgram::new().suite(beside_each_other).suite(alone).run()
}
