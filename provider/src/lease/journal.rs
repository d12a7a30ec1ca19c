//! Requests at which Vault may issue something, written down before they are made.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use coffer_vault::{Request, RequestId};

use super::LeaseStore;
use crate::session::{Session, SessionKey};

/// Lease-free paths that are remembered.
const MAX_LEASE_FREE: usize = 10_000;

/// What is known of requests: which of them issued nothing the last time.
#[derive(Default)]
pub(crate) struct Journal {
    /// Hashes of lease-free requests: there is nothing to write down before the next one.
    lease_free: Mutex<HashSet<u64>>,
}

/// A request in progress at which Vault may issue something, stored with its session.
pub(crate) struct JournalEntry<'a> {
    session: &'a Session,
    path: &'a str,
    settled: bool,
}

impl Journal {
    /// Returns whether Vault may issue something at a request: at every POST and PUT, and at a GET or LIST
    /// unless it issued nothing the last time.
    pub(crate) fn may_issue(&self, key: &SessionKey, request: &Request, id: RequestId) -> bool {
        request.issues() || !self.lease_free().contains(&hash(key, id))
    }

    /// Notes whether a GET or LIST brought something that was issued.
    pub(crate) fn note(&self, key: &SessionKey, request: &Request, id: RequestId, issued: bool) {
        if request.issues() {
            return;
        }
        let mut lease_free = self.lease_free();
        if issued {
            lease_free.remove(&hash(key, id));
            return;
        }
        if lease_free.len() >= MAX_LEASE_FREE {
            lease_free.clear();
        }
        lease_free.insert(hash(key, id));
    }

    fn lease_free(&self) -> std::sync::MutexGuard<'_, HashSet<u64>> {
        self.lease_free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LeaseStore {
    /// Writes down that a request is about to be made at which Vault may issue something. Should the process be
    /// killed before the answer is stored, the next one says what may have been lost.
    pub(crate) fn begin<'a>(&self, session: &'a Session, path: &'a str) -> JournalEntry<'a> {
        session.issued.in_progress().push(path.to_owned());
        self.save(session);
        JournalEntry { session, path, settled: false }
    }
}

impl JournalEntry<'_> {
    /// Notes that nothing was lost: the request was answered, or never made.
    pub(crate) fn settle(mut self) {
        self.settled = true;
    }
}

impl Drop for JournalEntry<'_> {
    fn drop(&mut self) {
        if !self.settled {
            warn_of_lost_answer(self.session, self.path);
        }
        let mut in_progress = self.session.issued.in_progress();
        if let Some(at) = in_progress.iter().position(|path| path == self.path) {
            in_progress.swap_remove(at);
        }
        self.session.changes.note();
    }
}

/// Logs that the answer to a request was lost at which Vault may have issued something.
pub(super) fn warn_of_lost_answer(session: &Session, path: &str) {
    tracing::warn!(
        namespace = session.key.identity.namespace,
        pod = session.pod_name(),
        path,
        "no answer came while this path was asked for: what Vault may have issued then is used by nobody, and \
         ends by itself or with the pod"
    );
}

fn hash(key: &SessionKey, id: RequestId) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&key.target, &key.namespace, id).hash(&mut hasher);
    hasher.finish()
}
