//! `coffer`: what a cluster's user does by hand with SecretProviderClasses.

mod answer;
mod args;
mod attributes;
mod check;
mod class;
mod mount;
mod provider;
mod report;
mod status;
mod target;
mod token;

use std::process::ExitCode;

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    let Cli { command } = Cli::of_process();
    // what kept a check from checking is told from the mistakes that it found
    let (done, failure) = match command {
        Command::Mount(mount) => (mount::run(&mount).map(|()| ExitCode::SUCCESS), ExitCode::FAILURE),
        Command::Check(check) => (check::run(&check), ExitCode::from(2)),
        Command::Status(status) => (status::run(&status).map(|()| ExitCode::SUCCESS), ExitCode::FAILURE),
    };
    done.unwrap_or_else(|error| {
        eprintln!("coffer: {error:#}");
        failure
    })
}
