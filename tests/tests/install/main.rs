//! What is shipped: the chart, the plain manifests, their RBAC, the images and the examples.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chart;
mod doctor;
mod doctor_release;
mod doctor_setup;
mod example;
mod example_files;
mod format_examples;
mod images;
mod installation;
mod rbac;

use std::process::ExitCode;

use coffer_tests::kubernetes::ClusterOptions;
use coffer_tests::kubernetes::aggregated::ApiSetup;
use coffer_tests::{Suite, TestProgram};

fn main() -> ExitCode {
    TestProgram::new()
        .suite(Suite::without_servers().module("chart", chart::tests))
        .suite(
            Suite::new(installation::InstallationSetup::start)
                .one_at_a_time()
                .module("installation", installation::tests),
        )
        .suite(Suite::new(rbac::RbacSetup::start).one_at_a_time().module("rbac", rbac::tests))
        .suite(Suite::new(doctor_setup::DoctorSetup::start).one_at_a_time().module("doctor", doctor::tests))
        .suite(Suite::without_servers().module("doctor_release", doctor_release::tests))
        .suite(
            Suite::new(images::BuiltImages::build)
                .module("images", |suite| images::shipped_tests(images::tests(suite))),
        )
        .suite(Suite::new(images::BuiltImages::for_arm64).module("images_arm64", images::arm64_tests))
        .suite(
            Suite::new(|| ApiSetup::start(ClusterOptions::default()))
                .module("example", example::tests)
                .module("format_examples", format_examples::tests),
        )
        .run()
}
