//! Checks README.md, CONTRIBUTING.md and docs/, and runs their commands.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod code_blocks;
mod commands;
mod contents;
mod output;
mod programs;

use std::process::ExitCode;

use coffer_tests::kubernetes::{ClusterOptions, ClusterWithVault, TokenDelivery};
use coffer_tests::{Suite, TestProgram};

fn main() -> ExitCode {
    let without_tokens = ClusterOptions { tokens: TokenDelivery::NotRequested, ..ClusterOptions::default() };
    let texts = Suite::without_servers()
        .module("code_blocks", code_blocks::tests)
        .module("contents", contents::tests)
        .module("output", output::tests);
    let commands = Suite::new(move || ClusterWithVault::start(without_tokens))
        .one_at_a_time()
        .module("commands", commands::tests);
    TestProgram::new().suite(texts).suite(commands).run()
}
