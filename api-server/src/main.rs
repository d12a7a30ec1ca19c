//! `coffer-api-server`: the aggregated API `custom.secrets.k8s.io/v1alpha1`. `kubectl get` of what a
//! SecretProviderClass would mount, read from Vault at that moment.

mod accept;
mod age;
mod api;
mod audit;
mod authentication;
mod authorization;
mod certificate;
mod class;
mod class_object;
mod classes;
mod client_certificate;
mod config;
mod connections;
mod discovery;
mod failure;
mod front_proxy;
mod handler;
mod health;
mod kube_error;
mod limits;
mod logging;
mod metrics;
mod mint;
mod openapi;
mod query;
mod reading;
mod recent;
mod respond;
mod route;
mod selectors;
mod server;
mod table;
mod tls;
mod token_review;
mod trust;
mod user;
mod vault_secret;

use std::process::ExitCode;

use config::{Command, Config};

fn main() -> ExitCode {
    let lookup = |name: &str| std::env::var(name).ok();
    match config::parse(std::env::args(), &lookup) {
        Ok(Command::Print(text)) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Command::Serve(config)) => run(*config),
        Err(mistake) => {
            eprintln!("coffer-api-server: {mistake}");
            ExitCode::from(2)
        }
    }
}

fn run(config: Config) -> ExitCode {
    logging::init(config.log_level, config.log_format);
    harden();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        unreachable!("nothing installs a crypto provider before main");
    }
    // one thread: the work is waiting, and each worker thread costs a MiB
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(server::serve(config)),
        Err(error) => Err(server::ServeError::Runtime(error)),
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
