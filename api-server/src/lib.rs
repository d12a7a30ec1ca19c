//! `coffer-api-server`: the aggregated API `custom.secrets.k8s.io/v1alpha1`. `kubectl get` shows
//! what a SecretProviderClass would mount, read from Vault at that moment.

mod accept;
mod age;
mod api;
mod api_error;
mod audit;
mod authentication;
mod authorization;
mod class_list;
mod class_map;
mod class_reader;
mod class_source;
mod class_watch;
mod client_certificate;
mod config;
mod connections;
mod discovery;
mod front_proxy;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handler;
mod health;
mod metrics;
mod openapi;
mod parsed_classes;
mod query;
mod read_task;
mod recent_answers;
mod request_limits;
mod respond;
mod route;
mod secret_provider_class;
mod selectors;
mod server;
mod server_tls;
mod serving_certificate;
mod table;
mod token_minter;
mod token_review;
mod trust;
mod user;
mod vault_secret;
mod verb;
mod watched_class;

use std::process::ExitCode;

/// Runs the program, and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let lookup = |name: &str| std::env::var(name).ok();
    coffer_process::run("coffer-api-server", config::parse(std::env::args(), &lookup), server::serve)
}
