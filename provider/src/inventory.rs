//! What is held, for people: no value, no token, no accessor.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::read::Provider;

/// Tokens and answers that are held at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Whether what is issued is kept and renewed at all.
    pub kept: bool,
    /// Tokens and answers, sorted by pod, then path; a token comes before what was given to it.
    pub entries: Vec<Entry>,
}

/// A token, a lease, a certificate, or what was read and serves for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Namespace of pod and service account.
    pub namespace: String,
    /// The pod's name; empty where a service account reads by itself.
    pub pod: String,
    /// The service account.
    pub service_account: String,
    /// What it is.
    pub kind: Kind,
    /// The SecretProviderClass; empty for a token.
    pub class: String,
    /// `objectName` of each file that comes from it.
    pub objects: Vec<String>,
    /// Vault's path that was asked.
    pub path: String,
    /// Seconds until it is renewed next; none where it is renewed no further.
    pub renewal_in: Option<u64>,
    /// Seconds until it ends; none where it never does.
    pub ends_in: Option<u64>,
    /// Whether its pod is gone, and it is revoked as soon as Vault does so.
    pub revoking: bool,
}

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A Vault token.
    Token,
    /// Something that Vault takes back at its end.
    Lease,
    /// A certificate without a lease.
    Certificate,
    /// What was read and is not read again yet.
    Secret,
}

impl Provider {
    /// What is held at this moment.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let sessions = self.sessions.all().into_iter().chain(self.sessions.ended());
        let mut entries: Vec<Entry> = sessions.flat_map(|session| session.inventory()).collect();
        entries.sort_by(|a, b| key(a).cmp(&key(b)));
        Inventory { kept: self.keeping.as_ref().is_some_and(|keeping| keeping.is_on()), entries }
    }
}

fn key(entry: &Entry) -> (&str, &str, &str, Kind, &str) {
    (&entry.namespace, &entry.pod, &entry.service_account, entry.kind, &entry.path)
}

/// Whole seconds, rounded up: what is there for a moment yet is not told as over.
pub(crate) fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
