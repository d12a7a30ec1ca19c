//! The journal of requests at which Vault may issue something. An entry is stored before the
//! request is sent.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use coffer_vault::{Request, RequestId};

use super::LeaseStore;
use crate::session::{Session, SessionKey};

/// Maximum number of lease-free requests that are remembered.
const MAX_LEASE_FREE: usize = 10_000;

/// Decides which requests need an entry, by what earlier requests issued.
#[derive(Default)]
pub(crate) struct Journal {
    /// Hashes of GET and LIST requests that issued nothing the last time. Such a request needs no
    /// entry.
    lease_free: Mutex<HashSet<u64>>,
}

/// An entry for a request in progress, stored with the session. When dropped, the entry is removed,
/// and a warning is logged unless the entry was settled.
pub(crate) struct JournalEntry<'a> {
    session: &'a Session,
    path: &'a str,
    /// Whether it is known that no answer was lost.
    settled: bool,
}

impl Journal {
    /// Returns whether Vault may issue something at a request: at every POST and PUT, and at a GET
    /// or LIST that is not known to be lease-free.
    pub(crate) fn may_issue(&self, key: &SessionKey, request: &Request, id: RequestId) -> bool {
        request.issues() || !self.lease_free().contains(&hash(key, id))
    }

    /// Notes whether Vault issued something at a GET or LIST.
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

    fn lease_free(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.lease_free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LeaseStore {
    /// Stores the entry for a request that is sent next. If the process is killed before the answer
    /// is stored, the next process logs a warning with the path.
    pub(crate) fn begin<'a>(&self, session: &'a Session, path: &'a str) -> JournalEntry<'a> {
        session.issued.in_progress().push(path.to_owned());
        self.save_journal(session);
        JournalEntry { session, path, settled: false }
    }
}

impl JournalEntry<'_> {
    /// Notes that no answer was lost: Vault answered, or the request was not sent.
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

/// Logs that an answer was lost, and that Vault may have issued something at the request.
pub(super) fn warn_of_lost_answer(session: &Session, path: &str) {
    tracing::warn!(
        namespace = session.key.identity.namespace,
        pod = session.pod_name(),
        path,
        "no answer came while this path was asked for: what Vault may have issued then is used by nobody, and \
         ends by itself or with the pod"
    );
}

/// Returns the hash of a request at a target and Vault namespace.
fn hash(key: &SessionKey, id: RequestId) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&key.target, &key.namespace, id).hash(&mut hasher);
    hasher.finish()
}
