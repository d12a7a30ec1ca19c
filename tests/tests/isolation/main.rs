//! Isolation: whatever one namespace does, the programs live, probes are answered, and another
//! namespace's mounts succeed soon. The programs run under the shipped limits.
//!
//! `cargo xtask test --test isolation -- --nocapture` ends with a table of what each attack cost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent;
mod answers;
mod mallory;
mod prober;
mod report;
mod victim;

use std::process::ExitCode;

use coffer_tests::{MemoryCgroup, Suite, TestProgram};

use crate::agent::AgentSetup;

fn main() -> ExitCode {
    let agent = Suite::new(AgentSetup::start)
        .one_at_a_time()
        .module("answers", |suite| answers::tests(suite.skipped_where(MemoryCgroup::forbidden())));
    TestProgram::new().suite(agent).run()
}
