//! The pod that a mount is for.

use std::sync::atomic::{AtomicU32, Ordering};

/// A pod as the driver describes it, with a unique uid.
#[derive(Clone, Debug)]
pub struct TestPod {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The uid.
    pub uid: String,
    /// The service account.
    pub service_account: String,
}

impl TestPod {
    /// Returns a new pod with that namespace and service account.
    pub fn new(namespace: &str, service_account: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(1);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        Self {
            namespace: namespace.to_owned(),
            name: format!("{service_account}-{number}"),
            uid: format!("6f1c2d3e-0000-4000-8000-{number:012}"),
            service_account: service_account.to_owned(),
        }
    }

    /// Returns the subject of the pod's token.
    pub fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.service_account)
    }
}
