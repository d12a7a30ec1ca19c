//! What is shipped: the chart, the plain manifests, their RBAC, the images and the worked example.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chart;
mod example;
mod images;
mod installation;
mod rbac;

use std::process::ExitCode;

use coffer_tests::kubernetes::ClusterOptions;
use coffer_tests::kubernetes::aggregated::AggregatedSite;
use coffer_tests::{Suite, TestProgram};

fn main() -> ExitCode {
    TestProgram::new()
        .suite(Suite::without_servers().module("chart", chart::tests))
        .suite(
            Suite::new(installation::Site::start).one_at_a_time().module("installation", installation::tests),
        )
        .suite(Suite::new(rbac::Site::start).one_at_a_time().module("rbac", rbac::tests))
        .suite(Suite::new(images::Built::build).module("images", images::tests))
        .suite(
            Suite::new(|| AggregatedSite::start(ClusterOptions::default())).module("example", example::tests),
        )
        .run()
}
