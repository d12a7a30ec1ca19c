//! Mounts through the real CSI drivers, for pods of a real kube-apiserver.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kubectl;
mod mount;
mod optional;
mod outage;
mod output;
mod rights;
mod rotation;
mod version_key;

use std::process::ExitCode;

use coffer_tests::kubernetes::{ClusterOptions, ClusterWithVault, TokenDelivery};
use coffer_tests::{Suite, TestProgram};

fn main() -> ExitCode {
    let with_controllers = ClusterOptions { tokens: TokenDelivery::InSecrets, controllers: true };
    // As upstream ships it, the CSIDriver object asks for no tokens.
    let without_tokens = ClusterOptions { tokens: TokenDelivery::NotRequested, ..ClusterOptions::default() };
    TestProgram::new()
        .suite(
            clusters(ClusterOptions::default())
                .module("mount", mount::tests)
                .module("rotation", rotation::tests)
                .module("output", output::tests)
                .module("optional", optional::tests),
        )
        .suite(clusters(with_controllers).module("kubectl", kubectl::tests))
        .suite(clusters(ClusterOptions::default()).one_at_a_time().module("outage", outage::tests))
        .suite(clusters(without_tokens).one_at_a_time().module("rights", rights::tests))
        .suite(
            Suite::new(version_key::VersionKeySetup::start)
                .one_at_a_time()
                .module("version_key", version_key::tests),
        )
        .run()
}

fn clusters(options: ClusterOptions) -> Suite<ClusterWithVault> {
    Suite::new(move || ClusterWithVault::start(options))
}
