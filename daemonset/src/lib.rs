//! `coffer-csi`, the node agent. The Secrets Store CSI driver calls it over a unix socket, and
//! mounts the files in the answers.

mod admission;
mod authority_filter;
mod config;
mod deadline;
mod driver_request;
mod file_id;
#[cfg(fuzzing)]
pub mod fuzzing;
mod grpc_status;
mod health;
mod leases;
mod metrics;
mod node_health;
mod rotation_report;
mod server;
mod service;
mod shortened;
mod socket;
mod state_dir;
mod status_socket;
mod volumes;

use std::process::ExitCode;

/// Runs the program, and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let lookup = |name: &str| std::env::var(name).ok();
    coffer_process::run("coffer-csi", config::parse(std::env::args(), &lookup), server::serve)
}
