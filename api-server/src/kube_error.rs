//! Errors of calls to kube-apiserver, as far as they can be shown: no body, no URL.

use coffer_provider::root_cause;

/// What kube-apiserver or the network said.
pub(crate) fn shown(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("kube-apiserver answered {} ({})", status.code, status.message),
        other => root_cause(other),
    }
}
