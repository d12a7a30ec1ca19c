//! The requests of `coffer-csi` to Vault, and how it handles the answers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod certificates;
mod connections;
mod deadlines;
mod failover;
mod faults;
mod proxies;
mod proxy_rules;
mod raw_endpoints;
mod redirects;
mod requests;
mod retries;
mod test_servers;
mod tls;
mod tokens;

/// The objects of a class that issues a certificate into file `f`.
const ISSUE: &str =
    "- {objectName: f, secretPath: pki/issue/web, secretKey: k, method: POST, secretArgs: {a: b}}";
