//! The tool `coffer` against real servers. Tests that need no server are in `cli/tests/`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod check_cluster;
mod check_live;
mod convert;
mod convert_bytes;
mod convert_cluster;
mod kubeconfig;
mod manifests;
mod output;

use std::process::ExitCode;

use coffer_tests::kubernetes::{ClusterOptions, ClusterWithVault, TokenDelivery};
use coffer_tests::{Suite, TestProgram};

fn main() -> ExitCode {
    let without_tokens = ClusterOptions { tokens: TokenDelivery::NotRequested, ..ClusterOptions::default() };
    let cluster = Suite::new(move || ClusterWithVault::start(without_tokens));
    TestProgram::new()
        .suite(
            Suite::without_servers()
                .module("check_live", check_live::tests)
                .module("convert", convert::tests)
                .module("convert_bytes", convert_bytes::tests)
                .module("manifests", manifests::tests)
                .module("output", output::tests),
        )
        .suite(
            cluster
                .module("check_cluster", check_cluster::tests)
                .module("convert_cluster", convert_cluster::tests)
                .module("kubeconfig", kubeconfig::tests),
        )
        .run()
}
