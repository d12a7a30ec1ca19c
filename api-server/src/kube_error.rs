//! Errors of calls to kube-apiserver, as far as they can be shown: no body, no URL.

use std::error::Error as StdError;

/// What kube-apiserver or the network said.
pub(crate) fn shown(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("kube-apiserver answered {} ({})", status.code, status.message),
        other => root_cause(other),
    }
}

fn root_cause(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
