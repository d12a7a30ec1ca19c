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

fn main() -> ExitCode {
    let lookup = |name: &str| std::env::var(name).ok();
    coffer_process::run("coffer-api-server", config::parse(std::env::args(), &lookup), server::serve)
}
