//! `coffer`: what a cluster's user does by hand with SecretProviderClasses.

mod answer;
mod args;
mod attributes;
mod class;
mod mount;
mod provider;
mod report;
mod target;
mod token;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let done = match command {
        Command::Mount(mount) => mount::run(mount),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coffer: {error:#}");
            ExitCode::FAILURE
        }
    }
}
