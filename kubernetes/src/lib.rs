//! Calls to kube-apiserver, and what Coffer builds on them: service account tokens, reviews, the
//! key of the versions, and watches.
//!
//! Every call goes through [`call`], which limits its time and classifies its failure as a
//! [`CallError`].

mod access_review;
mod auth_fault;
mod connection;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod http_service;
mod key_secret;
mod kubeconfig;
mod names;
mod object_watch;
mod own_pod;
mod pod_events;
mod pod_watch;
mod refusal_grace;
mod token_request;
mod token_review;
mod version_key;

pub use auth_fault::AuthFault;
pub use connection::{KubeConnection, Kubernetes, call};
pub use error::{CallError, ConnectError};
pub use kubeconfig::{KubeconfigChoice, KubeconfigFault};
pub use names::{is_namespace_name, is_object_name};
pub use object_watch::{list_and_watch, watch_objects};
pub use pod_events::{EventObserver, EventOutcome, PodEventSender};
pub use pod_watch::PodWatch;
pub use version_key::{CachedVersionKey, KeySource};

/// Time limit of a call to kube-apiserver, unless the caller sets another.
pub const CALL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Returns a runtime whose time is not that of the machine: it passes when all tasks wait.
#[cfg(test)]
fn model_runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("a runtime")
}
