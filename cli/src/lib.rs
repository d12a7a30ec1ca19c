//! `coffer`: the tool for users of SecretProviderClasses.

mod args;
mod check;
mod convert;
mod doctor;
#[cfg(fuzzing)]
pub mod fuzzing;
mod manifest;
mod mount;
mod object_list;
mod render;
mod status;
mod table;
mod token;
mod vault_login;

use std::fmt::Display;
use std::process::ExitCode;

use crate::args::{Cli, CliCommand};

/// Runs the program, and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { command } = Cli::of_process();
    match command {
        CliCommand::Mount(args) => exit_code(mount::run(&args), ExitCode::FAILURE),
        // 1 is for mistakes that a check found, so that 2 is left for a check that could not be
        // made
        CliCommand::Check(args) => exit_code(check::run(&args), ExitCode::from(2)),
        CliCommand::Convert(args) => exit_code(convert::run(&args), ExitCode::from(2)),
        CliCommand::Doctor(args) => exit_code(doctor::run(&args), ExitCode::from(2)),
        CliCommand::Render(args) => render::run(&args),
        CliCommand::Status(args) => exit_code(status::run(&args), ExitCode::FAILURE),
    }
}

/// Returns a command's exit code, or prints the command's error and returns `failure`.
fn exit_code(result: Result<ExitCode, impl Display>, failure: ExitCode) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("coffer: {}", table::printable(&error.to_string()));
        failure
    })
}
