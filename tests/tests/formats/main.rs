//! The formats of files, read back by the programs that applications use: what comes out must be
//! what was written into Vault.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pem;
mod read_back;
mod rendered;
mod sample;
mod tools;
mod value;

use std::process::ExitCode;

use coffer_tests::{Suite, TestProgram};

use crate::rendered::RenderedSamples;

fn main() -> ExitCode {
    TestProgram::new()
        .suite(Suite::new(RenderedSamples::start).module("read_back", read_back::tests))
        .suite(Suite::without_servers().module("pem", pem::tests))
        .run()
}
