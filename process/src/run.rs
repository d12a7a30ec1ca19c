//! `main` of both servers: prints or serves, as the command line says, and ends with an exit code.

use std::fmt::Display;
use std::process::ExitCode;

use rustls::crypto::CryptoProvider;

use crate::{Logging, allocator};

/// What a command line asks for.
#[derive(Debug)]
pub enum Invocation<C> {
    /// Print this text and end.
    Print(String),
    /// Serve with this configuration.
    Serve(Box<Startup<C>>),
}

/// Everything that a server starts with.
#[derive(Debug)]
pub struct Startup<C> {
    /// How the process logs.
    pub logging: Logging,
    /// What the operator should know of the configuration; logged at start.
    pub warnings: Vec<String>,
    /// The server's own configuration.
    pub config: C,
}

/// Runs `program`: prints the text or calls `serve`, and returns the process's exit code.
///
/// The code is 2 for a wrong command line or environment, and 1 where `serve` fails.
///
/// # Panics
/// A rustls crypto provider is installed already.
pub fn run<C, E: Display>(
    program: &'static str,
    invocation: Result<Invocation<C>, impl Display>,
    serve: impl AsyncFnOnce(C) -> Result<(), E>,
) -> ExitCode {
    let startup = match invocation {
        Ok(Invocation::Print(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Invocation::Serve(startup)) => startup,
        Err(error) => {
            eprintln!("{program}: {error}");
            return ExitCode::from(2);
        }
    };
    let left_out = startup.logging.start(program);
    allocator::give_back_memory();
    protect_memory();
    if CryptoProvider::clone(&coffer_connect::crypto_provider()).install_default().is_err() {
        unreachable!("nothing installs a crypto provider before main");
    }
    for warning in &startup.warnings {
        tracing::warn!("{warning}");
    }
    // one thread: the work is waiting, and each worker thread costs a MiB
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the async runtime cannot start");
            return ExitCode::FAILURE;
        }
    };
    runtime.spawn(left_out.follow());
    match runtime.block_on(serve(startup.config)) {
        Ok(()) => {
            tracing::info!("ended");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Closes the memory, which holds secrets, to others: no core dumps, no ptrace by processes of the
/// same user.
fn protect_memory() {
    use nix::sys::resource::{Resource, setrlimit};

    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!(%error, "core dumps cannot be switched off");
    }
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%error, "the memory cannot be closed to other processes");
    }
}
