//! `cargo xtask bench`: the figures of docs/benchmarks.md, each part from one run against one
//! OpenBao.
//!
//! The benchmark is part of the harness, whose servers and calls it uses, and not of xtask, whose
//! build every command waits for. The load comes over kept connections, as the driver's does.
//! What is compared takes turns in short rounds, so that other work of the machine affects all of
//! it alike.

mod api;
mod csi;
mod formats;
mod grpc_go;
mod leases;
mod load;
mod metrics;
mod rounds;
mod series;
mod vault;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use self::rounds::RunSize;

const USAGE: &str = "usage: coffer-bench csi|formats|leases|metrics|api [--quick] [--beside COFFER-CSI]";

/// Measures the part that the first argument names.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(BenchArguments { part, size, beside }) = BenchArguments::parse(env::args_os().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    match part.to_str() {
        Some("csi") => csi::measure(size, beside).await,
        Some("formats") => formats::measure(size).await,
        Some("leases") => leases::measure(size).await,
        Some("metrics") => metrics::measure(size).await,
        Some("api") => api::measure(size).await,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

struct BenchArguments {
    part: OsString,
    size: RunSize,
    /// Another `coffer-csi` to measure.
    beside: Option<PathBuf>,
}

impl BenchArguments {
    fn parse(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut parsed = Self { part: arguments.next()?, size: RunSize::FULL, beside: None };
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--quick") => parsed.size = RunSize::QUICK,
                Some("--beside") => parsed.beside = Some(arguments.next()?.into()),
                _ => return None,
            }
        }
        Some(parsed)
    }
}

fn progress(text: &str) {
    eprintln!("{text} …");
}
