//! Sessions: one identity at one Vault target, with its tokens and the answers that are held
//! between reads.

mod answers;
mod audience;
mod changes;
mod issued;
mod logins;
mod reads;
mod table;
mod token;
mod users;
mod volumes;

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use coffer_shares::Share;
use coffer_vault::{Method, Request, RequestId, Target};
use serde::{Deserialize, Serialize};

use crate::memory::TenantMemory;
use crate::render::Frames;
use crate::request::{Identity, Pod};
pub(crate) use answers::{AnswerList, AnswerUse, VolumeId};
pub(crate) use changes::Changes;
pub(crate) use issued::{Issued, IssuedAnswer, IssuedTerm};
pub(crate) use logins::{LoginContext, Logins, TokenNeed};
pub(crate) use reads::Reads;
pub(crate) use table::Sessions;
pub(crate) use token::{Token, UsedToken};
use users::{UserGuard, Users};
use volumes::Volumes;

/// The key of a session: everything on which Vault's answers may depend. Two reads with equal keys
/// may share tokens and answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct SessionKey {
    pub(crate) target: Target,
    pub(crate) namespace: Option<String>,
    pub(crate) auth_mount: String,
    pub(crate) role: String,
    pub(crate) audience: Option<String>,
    pub(crate) identity: Identity,
}

/// The tokens and answers of one identity at one Vault target.
pub(crate) struct Session {
    pub(crate) key: Arc<SessionKey>,
    /// The name of the session's record in the state store.
    pub(crate) record_name: String,
    pub(crate) logins: Logins,
    pub(crate) reads: Reads,
    pub(crate) issued: Issued,
    pub(crate) frames: Frames,
    pub(crate) changes: Arc<Changes>,
    /// When the session was created; none if the session was restored, and so is older than this
    /// process.
    created: Option<Instant>,
    state: Mutex<SessionState>,
    volumes: Volumes,
    users: Users,
    /// Whether the revocation of the ended session has begun.
    revoking: AtomicBool,
    /// The session's record in the state store.
    stored: Mutex<StoredRecord>,
    /// The memory of the session itself.
    bytes: Option<Share>,
    tenant: TenantMemory,
}

/// Size of a page of tmpfs, in bytes: a file takes whole pages.
const PAGE: usize = 4096;

/// What is known of a session's record in the state store.
#[derive(Default)]
pub(crate) struct StoredRecord {
    /// The memory of the record: tmpfs counts as memory.
    pub(crate) memory: Option<Share>,
    /// From when on the session may be stored again. Storing takes time by size, and must not take
    /// all time.
    pub(crate) not_before: Option<Instant>,
    /// Whether there is a record.
    pub(crate) exists: bool,
}

/// The state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionState {
    /// No read succeeded yet in this process.
    New,
    /// A read succeeded.
    Served,
    /// The pod is gone, and the tokens are to be revoked.
    Ended,
}

/// A session in use, which is neither evicted nor revoked until this guard is dropped.
pub(crate) struct UsedSession {
    session: Arc<Session>,
    _user: UserGuard,
}

/// The parts of a new or restored session.
pub(crate) struct SessionParts {
    pub(crate) key: Arc<SessionKey>,
    pub(crate) record_name: String,
    pub(crate) created: Option<Instant>,
    pub(crate) state: SessionState,
    pub(crate) tokens: Vec<Arc<Token>>,
    pub(crate) issued: AnswerList<IssuedTerm>,
    /// The volumes that have got files.
    pub(crate) with_files: Vec<VolumeId>,
    pub(crate) memory: TenantMemory,
    /// The memory of the session itself; none if a restored session found none.
    pub(crate) bytes: Option<Share>,
}

impl Session {
    /// Returns a guard that marks the session as in use.
    pub(crate) fn enter(self: &Arc<Self>) -> UsedSession {
        UsedSession { _user: self.users.enter(), session: Arc::clone(self) }
    }

    /// Waits until the session is not in use.
    pub(crate) async fn wait_until_unused(&self) {
        self.users.wait_for_none().await;
    }

    pub(crate) fn pod(&self) -> Option<&Pod> {
        self.key.identity.pod.as_ref()
    }

    /// Returns the name of the pod for the log; empty if there is no pod.
    pub(crate) fn pod_name(&self) -> &str {
        self.pod().map_or("", |pod| &pod.name)
    }

    pub(crate) fn state(&self) -> SessionState {
        *self.lock_state()
    }

    /// Notes that the pod is gone. All is dropped but the tokens, which are to be revoked: what was
    /// issued ends with them.
    pub(crate) fn note_ended(&self) {
        *self.lock_state() = SessionState::Ended;
        self.reads.clear();
        self.issued.clear();
        self.frames.clear();
    }

    /// Returns the memory that is charged for the session, its tokens, frames and stored record, in
    /// bytes.
    pub(crate) fn charged_bytes(&self) -> usize {
        let own = self.bytes.as_ref().map_or(0, Share::amount);
        let stored = self.lock_stored().memory.as_ref().map_or(0, Share::amount);
        own + stored + self.logins.charged_bytes() + self.frames.charged_bytes()
    }

    /// Returns true at the first call: the caller revokes the session's tokens.
    pub(crate) fn claim_revocation(&self) -> bool {
        !self.revoking.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.key.identity.namespace
    }

    /// Takes the memory of a record of this size, or gives back what is too much. A record that the
    /// namespace has no memory for is stored all the same: it holds what must be revoked.
    pub(crate) fn cover_record(&self, bytes: usize) {
        let bytes = bytes.next_multiple_of(PAGE);
        let mut stored = self.lock_stored();
        match &mut stored.memory {
            Some(memory) if memory.amount() >= bytes => memory.shrink_to(bytes),
            Some(memory) => drop(memory.try_grow(bytes - memory.amount())),
            memory => *memory = self.tenant.take(bytes),
        }
    }

    pub(crate) fn lock_stored(&self) -> MutexGuard<'_, StoredRecord> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether this process created the session, at or after this time.
    pub(crate) fn is_created_since(&self, moment: Instant) -> bool {
        self.created.is_some_and(|created| created >= moment)
    }

    /// Notes that a read succeeded, and which answers a volume uses. Returns whether the volume is
    /// new to the session.
    pub(crate) fn note_mount(&self, volume: VolumeId, requests: &[RequestId]) -> bool {
        let mut state = self.lock_state();
        if *state == SessionState::New {
            *state = SessionState::Served;
        }
        drop(state);
        self.reads.note_use(volume, requests);
        self.issued.note_use(volume, requests);
        self.volumes.add(volume)
    }

    /// Notes that a volume has got files.
    pub(crate) fn note_files(&self, volume: VolumeId) {
        if self.volumes.note_files(volume) {
            self.changes.note();
        }
    }

    /// Returns the volumes that have got files.
    pub(crate) fn with_files(&self) -> Vec<VolumeId> {
        self.volumes.with_files()
    }

    /// Notes that a volume uses another session now, and no answer of this one. Returns whether the
    /// volume has got files.
    pub(crate) fn remove_volume(&self, volume: VolumeId) -> bool {
        let had_files = self.volumes.remove(volume);
        self.reads.note_use(volume, &[]);
        self.issued.note_use(volume, &[]);
        self.changes.note();
        had_files
    }

    /// Returns whether a token must be renewed: the token has a lease, or is the newest one and a
    /// volume uses the session.
    pub(crate) fn needs(&self, token: &Arc<Token>, newest: &Arc<Token>, now: Instant) -> bool {
        let is_for_reads = Arc::ptr_eq(token, newest) && self.volumes.any();
        is_for_reads || self.issued.has_lease_of(token, now)
    }

    /// Returns the advice for a request that the token's policies deny.
    pub(crate) fn advice_on_denial(&self, request: &Request) -> String {
        let (role, Request { path, method, .. }) = (&self.key.role, request);
        let capability = Method::capability(*method);
        format!("Add to a policy of role {role:?}: path {path:?} {{ capabilities = [{capability:?}] }}")
    }

    /// Returns whether the session may be evicted: the session is not in use, and no pod loses a
    /// credential.
    ///
    /// `leases_kept` is whether leases are managed now. If not, existing leases still prevent the
    /// eviction.
    fn may_be_evicted(&self, now: Instant, leases_kept: bool) -> bool {
        let is_kept = leases_kept && self.pod().is_some();
        let is_needed = if is_kept { self.owns_anything(now) } else { self.issued.leases(now) > 0 };
        self.users.count() == 0 && !is_needed
    }

    /// Returns the sort key for evictions. Sessions without leases and certificates come first, and
    /// of these the sessions whose token expired.
    fn eviction_order(&self, used: Instant, now: Instant) -> (bool, bool, Instant) {
        let owns = self.owns_anything(now);
        match self.logins.newest_end() {
            Some(end) if end <= now => (owns, false, end),
            _ => (owns, true, used),
        }
    }

    /// Returns whether the session has a lease or a certificate that is still valid.
    fn owns_anything(&self, now: Instant) -> bool {
        self.logins.own_leases(now) || self.issued.has_any(now)
    }

    fn lock_state(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for UsedSession {
    type Target = Arc<Session>;

    fn deref(&self) -> &Arc<Session> {
        &self.session
    }
}

#[cfg(test)]
pub(crate) mod tests;
