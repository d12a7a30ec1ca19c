//! What an operator watches: the alerts and the dashboard, over a real Prometheus.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod shipped;

use std::process::ExitCode;

use coffer_tests::{Suite, TestProgram};

fn main() -> ExitCode {
    TestProgram::new()
        .suite(Suite::without_servers().module("shipped", shipped::tests))
        .suite(Suite::new(faults::SharedRun::start).module("faults", faults::tests))
        .run()
}
