//! Isolation: whatever one namespace does, the programs live, probes are answered, and another
//! namespace's mounts succeed soon. The programs run under the shipped limits.
//!
//! `cargo xtask test --test isolation -- --nocapture` ends with a table of what each attack cost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent;
mod answers;
mod api;
mod classes;
mod connections;
mod health;
mod http;
mod leases;
mod mallory;
mod observe;
mod outputs;
mod prober;
mod readers;
mod report;
mod templates;
mod victim;
mod waiting;

use std::process::ExitCode;

use coffer_tests::{MemoryCgroup, Suite, TestProgram};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::agent::AgentSetup;
use crate::api::ApiArena;

/// How many descriptors the attackers' connections need.
const DESCRIPTORS: u64 = 16_384;

fn main() -> ExitCode {
    let forbidden = MemoryCgroup::forbidden();
    allow_descriptors();
    let agent = Suite::new(AgentSetup::start)
        .one_at_a_time()
        .module("answers", |suite| answers::tests(suite.skipped_where(forbidden)))
        .module("outputs", |suite| outputs::tests(suite.skipped_where(forbidden)))
        .module("templates", |suite| templates::tests(suite.skipped_where(forbidden)))
        .module("http", |suite| http::tests(suite.skipped_where(forbidden)))
        .module("waiting", |suite| waiting::tests(suite.skipped_where(forbidden)))
        .module("classes", |suite| classes::tests(suite.skipped_where(forbidden)))
        .module("leases", |suite| leases::tests(suite.skipped_where(forbidden)))
        .module("health", |suite| health::tests(suite.skipped_where(forbidden)));
    let api = Suite::new(ApiArena::start)
        .one_at_a_time()
        .module("connections", |suite| connections::tests(suite.skipped_where(forbidden)))
        .module("readers", |suite| readers::tests(suite.skipped_where(forbidden)));
    TestProgram::new().suite(agent).suite(api).run()
}

/// Raises this process's own limit; where that is forbidden, attackers have fewer connections.
fn allow_descriptors() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft.max(DESCRIPTORS.min(hard)), hard);
    }
}
