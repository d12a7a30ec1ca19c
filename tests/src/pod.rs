//! The pod that a mount is for.

use std::sync::atomic::{AtomicU32, Ordering};

/// A pod as the driver names it. Every pod made has a uid of its own.
#[derive(Clone, Debug)]
pub struct TestPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The service account that it runs as.
    pub service_account: String,
}

impl TestPod {
    /// A new pod of that namespace and service account.
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

    /// The subject of its token.
    pub fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.service_account)
    }
}
