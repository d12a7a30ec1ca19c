//! The table of all sessions, with eviction if there are too many.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use data_encoding::HEXLOWER;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Notify;

use super::users::Users;
use super::volumes::Volumes;
use super::{
    Changes, Issued, Logins, Reads, Session, SessionKey, SessionParts, SessionState, UsedSession, VolumeId,
};
use crate::memory::{MemoryAccount, SESSION_BYTES};
use crate::render::Frames;
use crate::{Clock, Error, RefusalReason};

/// Sessions with leases that a table holds at least, however small its capacity.
const LEAST_OWNING: usize = 256;

/// Active sessions by key, each with the time when it was last used.
type ActiveSessions = HashMap<Arc<SessionKey>, (Arc<Session>, Instant)>;

/// The sessions of all identities.
pub(crate) struct Sessions {
    capacity: usize,
    clock: Arc<dyn Clock>,
    /// Wakes the lease manager when a session changes.
    pub(crate) wake: Arc<Notify>,
    pub(crate) memory: MemoryAccount,
    active: Mutex<ActiveSessions>,
    /// Sessions whose pods are gone or that were evicted, until their tokens are revoked.
    ended: Mutex<Vec<Arc<Session>>>,
}

/// The result of a look-up of a session.
pub(crate) struct Found {
    pub(crate) session: UsedSession,
    /// The number of active sessions.
    pub(crate) active: usize,
    /// The sessions that were evicted to create the session, and are ended now.
    pub(crate) evicted: Vec<Arc<Session>>,
}

impl Sessions {
    /// Returns an empty table. If there are `capacity` sessions, a new session evicts others, as
    /// far as these may be evicted.
    pub(crate) fn new(capacity: usize, memory: MemoryAccount, clock: Arc<dyn Clock>) -> Self {
        Self {
            capacity: capacity.max(1),
            clock,
            wake: Arc::default(),
            memory,
            active: Mutex::default(),
            ended: Mutex::default(),
        }
    }

    /// Returns the session of a key, and creates the session if there is none.
    ///
    /// If the table is full, a session of the namespace with the most sessions is evicted, in this
    /// order: one whose token expired, then the one used longest ago, and last one that owns leases
    /// or certificates. Sessions in use are not evicted, nor are sessions whose pods would lose a
    /// credential. A namespace with no more than its part of the table loses none to another one.
    ///
    /// # Errors
    /// [`OverLimit`](crate::ErrorKind::OverLimit), if the namespace has its part of the memory, or
    /// its part of the table in sessions that cannot be evicted.
    pub(crate) fn session(&self, key: SessionKey, leases_kept: bool) -> Result<Found, Error> {
        let now = self.clock.now();
        let mut active = self.lock_active();
        if let Some((session, used)) = active.get_mut(&key) {
            *used = now;
            let session = session.enter();
            return Ok(Found { session, active: active.len(), evicted: Vec::new() });
        }
        let key = Arc::new(key);
        let memory = self.memory.of(&key.identity.namespace);
        // before the eviction: who evicts must get the session, and revoke what was evicted
        let bytes = memory.take(SESSION_BYTES).ok_or_else(|| memory.used_up())?;
        let evicted = self.make_room(&mut active, &key.identity.namespace, leases_kept, now)?;
        let session = self.create(SessionParts {
            key: Arc::clone(&key),
            record_name: fresh_record_name(),
            created: Some(now),
            state: SessionState::New,
            tokens: Vec::new(),
            issued: Default::default(),
            with_files: Vec::new(),
            memory,
            bytes: Some(bytes),
        });
        active.insert(key, (Arc::clone(&session), now));
        Ok(Found { session: session.enter(), active: active.len(), evicted })
    }

    /// Evicts sessions for a new one of this namespace, if the table is full.
    fn make_room(
        &self,
        active: &mut ActiveSessions,
        namespace: &str,
        leases_kept: bool,
        now: Instant,
    ) -> Result<Vec<Arc<Session>>, Error> {
        let mut evicted = Vec::new();
        while active.len() >= self.capacity {
            let mut counts: HashMap<&str, usize> = HashMap::from([(namespace, 0)]);
            active.keys().for_each(|key| *counts.entry(&key.identity.namespace).or_default() += 1);
            let part = (self.capacity / counts.len()).max(1);
            let may_go = active.iter().filter(|(key, (session, _))| {
                let count = counts[&*key.identity.namespace];
                let has_more = count > part || key.identity.namespace == namespace;
                has_more && session.may_be_evicted(now, leases_kept)
            });
            let first = may_go.min_by_key(|(key, (session, used))| {
                let fewer = usize::MAX - counts[&*key.identity.namespace];
                (fewer, session.eviction_order(*used, now))
            });
            let Some(key) = first.map(|(key, _)| Arc::clone(key)) else {
                let own = active.values().filter(|(session, _)| session.namespace() == namespace);
                let owning = own.filter(|(session, _)| session.owns_anything(now)).count();
                let most = self.capacity.max(LEAST_OWNING) / counts.len();
                if evicted.is_empty() && owning >= most.max(1) {
                    return Err(too_many(namespace, owning));
                }
                break;
            };
            let session = active.remove(&key).map(|(session, _)| session);
            evicted.extend(session.inspect(|session| session.note_ended()));
        }
        self.lock_ended().extend(evicted.iter().cloned());
        Ok(evicted)
    }

    /// Returns the active sessions.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.lock_active().values().map(|(session, _)| Arc::clone(session)).collect()
    }

    /// Adds a session that was stored before a restart.
    pub(crate) fn restore(&self, parts: SessionParts) -> Arc<Session> {
        let session = self.create(parts);
        if session.state() == SessionState::Ended {
            self.lock_ended().push(Arc::clone(&session));
        } else {
            let entry = (Arc::clone(&session), self.clock.now());
            self.lock_active().insert(Arc::clone(&session.key), entry);
        }
        session
    }

    /// Removes a volume from the pod's other sessions. The volume uses this session now, for
    /// example because the class names another role. Returns whether the volume got files from one
    /// of the others.
    pub(crate) fn remove_volume_from_others(&self, session: &Session, volume: VolumeId) -> bool {
        let Some(pod) = session.pod() else { return false };
        // the uid first: it differs for nearly all, and a key is long
        let is_other =
            |other: &Session| other.pod().is_some_and(|p| p.uid == pod.uid) && other.key != session.key;
        let active = self.lock_active();
        let others = active.values().map(|(other, _)| other).filter(|other| is_other(other));
        let mut had_files = false;
        others.for_each(|other| had_files |= other.remove_volume(volume));
        had_files
    }

    /// Returns whether a volume has got files by a session of the pod with this uid.
    pub(crate) fn gave_files(&self, pod_uid: &str, volume: VolumeId) -> bool {
        let active = self.lock_active();
        let is_own = |session: &Session| session.pod().is_some_and(|pod| pod.uid == pod_uid);
        let mut own = active.values().filter(|(session, _)| is_own(session));
        own.any(|(session, _)| session.with_files().contains(&volume))
    }

    /// Ends the sessions that `picked` accepts, and returns the ended sessions. Later reads with
    /// the same key get a new session.
    pub(crate) fn end(&self, picked: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        let mut active = self.lock_active();
        let picked = active.extract_if(|_, (session, _)| picked(session));
        let picked: Vec<_> = picked.map(|(_, (session, _))| session).collect();
        picked.iter().for_each(|session| session.note_ended());
        self.lock_ended().extend(picked.iter().cloned());
        picked
    }

    /// Returns the sessions whose pods are gone and whose tokens are not revoked yet.
    pub(crate) fn ended(&self) -> Vec<Arc<Session>> {
        self.lock_ended().clone()
    }

    /// Removes an ended session whose tokens are revoked.
    pub(crate) fn remove_ended(&self, session: &Arc<Session>) {
        self.lock_ended().retain(|other| !Arc::ptr_eq(other, session));
    }

    fn create(&self, parts: SessionParts) -> Arc<Session> {
        let SessionParts { key, record_name, created, state, tokens, issued, with_files, memory, bytes } =
            parts;
        let changes = Arc::new(Changes::new(Arc::clone(&self.wake)));
        Arc::new(Session {
            key,
            record_name,
            logins: Logins::new(tokens, memory.clone(), Arc::clone(&changes)),
            reads: Reads::new(memory.clone()),
            issued: Issued::new(issued, memory.clone(), Arc::clone(&changes)),
            bytes,
            frames: Frames::stored_in(memory.clone()),
            tenant: memory,
            changes,
            created,
            state: Mutex::new(state),
            volumes: Volumes::restored(with_files),
            users: Users::default(),
            revoking: AtomicBool::new(false),
            stored: Mutex::default(),
        })
    }

    fn lock_active(&self) -> MutexGuard<'_, ActiveSessions> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_ended(&self) -> MutexGuard<'_, Vec<Arc<Session>>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many(namespace: &str, sessions: usize) -> Error {
    let message = format!(
        "namespace {namespace:?} has {sessions} sessions with leases on this node, as many as it may while other \
         namespaces need theirs"
    );
    Error::over_limit(RefusalReason::Sessions, message)
        .with_advice("Use fewer roles for each pod, or let the operator raise -cache-size")
}

/// Returns a random name for a record: 32 hexadecimal digits.
fn fresh_record_name() -> String {
    let mut name = [0; 16];
    // an error is ignored: without random numbers TLS fails anyway
    let _ = SystemRandom::new().fill(&mut name);
    HEXLOWER.encode(&name)
}
