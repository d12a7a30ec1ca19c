//! Requests at which Vault may issue something: one at a time for an identity, and written down before they are made.

use tokio::sync::MutexGuard;

use super::Session;
use crate::plan::Request;
use crate::vault::Grant;

impl Session {
    /// Whether something may be issued at a request that is kept then.
    pub(super) fn may_issue(&self, request: &Request) -> bool {
        let keeping = self.keeping.as_ref().filter(|_| self.is_kept());
        keeping.is_some_and(|keeping| keeping.may_issue(&self.key, request))
    }

    /// Waits for the turn to make these requests, where something may be issued at one; none is needed where nothing is
    /// kept.
    pub(crate) async fn issuing_turn(&self, requests: &[&Request]) -> Option<MutexGuard<'_, ()>> {
        let may_issue = requests.iter().any(|request| self.may_issue(request));
        if may_issue { Some(self.issuing.lock().await) } else { None }
    }

    /// Notes what a request brought, for the next one like it.
    pub(crate) fn note_grant(&self, request: &Request, grant: &Grant) {
        if let Some(keeping) = &self.keeping {
            keeping.note(&self.key, request, !matches!(grant, Grant::Nothing));
        }
    }

    /// Writes down that a request is about to be made at which Vault may issue something: should the process be
    /// killed before the answer is stored, the next one says what may have been lost.
    pub(crate) fn intend<'a>(&'a self, request: &'a Request) -> Option<Intent<'a>> {
        if !self.may_issue(request) {
            return None;
        }
        self.holdings().issuing.push(request.path.clone());
        self.store();
        Some(Intent { session: self, path: &request.path, settled: false })
    }

    /// Says that the answer to a request was lost at which Vault may have issued something.
    pub(super) fn tell_of_lost_answer(&self, path: &str) {
        tracing::warn!(
            namespace = self.key.identity.namespace,
            pod = self.pod_name(),
            path,
            "no answer came while this path was asked for: what Vault may have issued then is used by nobody, and ends by \
             itself or with the pod"
        );
    }
}

/// A request that is being made, at which Vault may issue something.
pub(crate) struct Intent<'a> {
    session: &'a Session,
    path: &'a str,
    settled: bool,
}

impl Intent<'_> {
    /// Notes that nothing was lost: the request was answered, or never made.
    pub(crate) fn settle(mut self) {
        self.settled = true;
    }
}

impl Drop for Intent<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.session.tell_of_lost_answer(self.path);
        }
        let mut holdings = self.session.holdings();
        if let Some(at) = holdings.issuing.iter().position(|path| path == self.path) {
            holdings.issuing.swap_remove(at);
        }
        self.session.note_change(&mut holdings);
    }
}
