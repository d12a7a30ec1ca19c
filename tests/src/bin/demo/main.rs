//! `cargo xtask demo`: a real OpenBao, the built programs, and a secret that changes.

mod cluster;
mod convert;
mod leases;
mod node;

use std::env;
use std::process::ExitCode;

/// Shows the part that the argument names: `node`, which needs OpenBao alone, or `cluster`.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        Some("node") => node::show().await,
        Some("cluster") => cluster::show().await,
        _ => {
            eprintln!("usage: coffer-demo node|cluster");
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    println!("\n{text}.");
}
