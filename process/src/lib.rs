//! What `coffer-csi` and `coffer-api-server` are as processes: how they start, log, end, and are told of Vault.

mod address;
mod logging;
mod vault_flags;

use std::fmt::Display;
use std::process::ExitCode;

pub use address::{listen, parse_address};
pub use logging::{LogFormat, Logging};
pub use vault_flags::{BadFlag, VaultFlags};

/// What a command line asks for.
#[derive(Debug)]
pub enum Command<C> {
    /// Print this and end.
    Print(String),
    /// Serve, as configured.
    Serve(Logging, Box<C>),
}

/// Does what the command line of `program` asks for, and says on standard error what keeps it from that.
///
/// # Panics
/// Where a crypto provider was installed before.
pub fn run<C, E: Display>(
    program: &'static str,
    command: Result<Command<C>, impl Display>,
    serve: impl AsyncFnOnce(C) -> Result<(), E>,
) -> ExitCode {
    let (logging, config) = match command {
        Ok(Command::Print(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Command::Serve(logging, config)) => (logging, config),
        Err(mistake) => {
            eprintln!("{program}: {mistake}");
            return ExitCode::from(2);
        }
    };
    logging.start(program);
    harden();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        unreachable!("nothing installs a crypto provider before main");
    }
    // one thread: the work is waiting, and each worker thread costs a MiB
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(serve(*config)).map_err(|error| error.to_string()),
        Err(error) => Err(format!("no runtime: {error}")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Keeps the memory, which holds secrets, to this process: no core dumps, no ptrace by others of our uid.
fn harden() {
    use nix::sys::resource::{Resource, setrlimit};

    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!("core dumps cannot be switched off: {error}");
    }
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!("the memory cannot be closed to other processes: {error}");
    }
}
