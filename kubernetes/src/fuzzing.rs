//! The fuzz target of kubeconfigs. It is compiled for `cargo fuzz` alone.

use std::error::Error;
use std::path::Path;

use kube::config::Kubeconfig;

use crate::kubeconfig::{malformed, of_kubeconfig};

/// Reads a kubeconfig, to which a user with a planted token is added.
///
/// # Panics
/// If an error repeats the token.
pub fn kubeconfig(text: &str, context: &str, planted: &str) {
    // its files are not read
    if ["certificate-authority:", "client-certificate:", "client-key:", "tokenFile:"]
        .iter()
        .any(|key| text.contains(key))
    {
        return;
    }
    let text = format!("{text}\nusers:\n- name: u\n  user:\n    token: {planted}\n    password: {planted}\n");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let Ok(runtime) = runtime else { return };
    let said = match Kubeconfig::from_yaml(&text) {
        Ok(kubeconfig) => {
            let chosen = Some(context).filter(|context| !context.is_empty());
            match runtime.block_on(of_kubeconfig(kubeconfig, chosen)) {
                Ok(access) => format!("{:?}", access.proxies),
                Err(fault) => format!("{} {fault:?}", chain(&fault)),
            }
        }
        Err(error) => {
            let fault = malformed(Path::new("config"), &error);
            format!("{} {fault:?}", chain(&fault))
        }
    };
    assert!(!said.contains(planted), "{said}");
}

/// Returns all that an error and its sources say.
fn chain(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        said = format!("{said}: {error}");
        source = error.source();
    }
    said
}
