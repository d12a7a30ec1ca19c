//! Runs a soak: `cargo xtask soak`.

use std::process::ExitCode;

use coffer_tests::soak::{SoakOptions, run_soak};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
Usage: cargo xtask soak [--minutes N] [--seed S] [--pods N] [--fault-every SECONDS] [--report DIR]
                        [--release]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = match SoakOptions::parse(&arguments) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    let mut terminate = signal(SignalKind::terminate()).expect("a signal handler");
    let mut interrupt = signal(SignalKind::interrupt()).expect("a signal handler");
    // Dropping the run ends all servers.
    let held = tokio::select! {
        held = run_soak(&options) => held,
        _ = terminate.recv() => Ok(false),
        _ = interrupt.recv() => Ok(false),
    };
    match held {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the run did not come to its end: {error}");
            ExitCode::FAILURE
        }
    }
}
