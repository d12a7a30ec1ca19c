//! The aggregated API: coffer-api-server behind a real kube-apiserver.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod authorization;
mod crowds;
mod direct;
mod faults;
mod get;
mod output;
mod replicas;
mod secrecy;
mod selectors;
mod trust;

use std::process::ExitCode;

use coffer_tests::kubernetes::ClusterOptions;
use coffer_tests::kubernetes::aggregated::ApiSetup;
use coffer_tests::{Suite, TestProgram};

fn main() -> ExitCode {
    let with_controllers = ClusterOptions { controllers: true, ..ClusterOptions::default() };
    let beside_each_other = clusters(ClusterOptions::default())
        .module("authorization", authorization::tests)
        .module("direct", direct::tests)
        .module("get", get::tests)
        .module("output", output::tests)
        .module("selectors", selectors::tests)
        .module("trust", trust::tests);
    let alone = clusters(ClusterOptions::default())
        .one_at_a_time()
        .module("secrecy", secrecy::tests)
        .module("crowds", crowds::tests)
        .module("replicas", replicas::tests);
    TestProgram::new()
        .suite(beside_each_other)
        .suite(alone)
        .suite(clusters(with_controllers).one_at_a_time().module("faults", faults::tests))
        .run()
}

fn clusters(options: ClusterOptions) -> Suite<ApiSetup> {
    Suite::new(move || ApiSetup::start(options))
}
