//! The sessions of all identities, and which of them goes where there is no room.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use data_encoding::HEXLOWER;
use ring::rand::{SecureRandom, SystemRandom};

use super::holdings::Holdings;
use super::room::Room;
use super::{LoginState, Session, SessionKey, Volume};
use crate::Clock;
use crate::keeping::Keeping;
use crate::render::Earlier;

/// The sessions of all identities, as many as there is room for.
pub(crate) struct Sessions {
    capacity: usize,
    pub(super) clock: Arc<dyn Clock>,
    keeping: Option<Arc<Keeping>>,
    pub(super) room: Room,
    known: Mutex<HashMap<SessionKey, (Arc<Session>, Instant)>>,
    /// Sessions whose pods are gone, until what they hold is revoked.
    ended: Mutex<Vec<Arc<Session>>>,
}

impl Sessions {
    pub(crate) fn new(capacity: usize, clock: Arc<dyn Clock>, keeping: Option<Arc<Keeping>>) -> Self {
        Self {
            capacity: capacity.max(1),
            clock,
            keeping,
            room: Room::new(),
            known: Mutex::default(),
            ended: Mutex::default(),
        }
    }

    /// The session of a key, and how many there are now. Where there is no room, the one goes whose token
    /// expired first, else the one that was used longest ago; those to which something was issued go last. Those that are in
    /// use stay, and those that hold what their pods live on: its number is bounded by that of the node's pods.
    pub(crate) fn session(&self, key: SessionKey) -> (Arc<Session>, usize) {
        let now = self.clock.now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((session, used)) = known.get_mut(&key) {
            *used = now;
            let session = Arc::clone(session);
            return (session, known.len());
        }
        while known.len() >= self.capacity {
            let may_leave = known.iter().filter(|(_, (session, _))| session.may_leave(now));
            let first = may_leave.min_by_key(|(_, (session, used))| session.leaves_before(*used, now));
            let Some(key) = first.map(|(key, _)| key.clone()) else { break };
            if let Some((evicted, _)) = known.remove(&key) {
                // what it holds ends by itself
                evicted.forget_record();
            }
        }
        let session = Arc::new(self.make(key.clone(), fresh_record(), Some(now), Holdings::default()));
        known.insert(key, (Arc::clone(&session), now));
        (session, known.len())
    }

    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().map(|(session, _)| Arc::clone(session)).collect()
    }

    /// A session that holds this; `made` is none where it was kept over a restart.
    pub(super) fn make(
        &self,
        key: SessionKey,
        record: String,
        made: Option<Instant>,
        holdings: Holdings,
    ) -> Session {
        let token = holdings.tokens.last().cloned();
        Session {
            key,
            clock: Arc::clone(&self.clock),
            made,
            record,
            keeping: self.keeping.clone(),
            room: self.room.clone(),
            login: tokio::sync::Mutex::new(LoginState { token, ..LoginState::default() }),
            holdings: Mutex::new(holdings),
            issuing: tokio::sync::Mutex::default(),
            renewing: Default::default(),
            ended: AtomicBool::new(false),
            served: AtomicBool::new(false),
            earlier: Earlier::default(),
        }
    }

    /// Has a pod's other sessions left by a mount that reads through this one now: its class names another role, say.
    pub(crate) fn leave_others(&self, session: &Session, volume: Volume) {
        let Some(pod) = session.pod() else { return };
        let is_other =
            |other: &Session| other.key != session.key && other.pod().is_some_and(|p| p.uid == pod.uid);
        self.all().iter().filter(|other| is_other(other)).for_each(|other| other.leave(volume));
    }

    /// Adds a session that was kept over a restart.
    pub(super) fn put(&self, session: &Arc<Session>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(session.key.clone(), (Arc::clone(session), self.clock.now()));
    }

    /// Adds a session whose pod is gone.
    pub(crate) fn put_ended(&self, session: Arc<Session>) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    /// Forgets one that holds nothing any more.
    pub(crate) fn forget_ended(&self, session: &Arc<Session>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|other| !Arc::ptr_eq(other, session));
    }

    pub(crate) fn ended(&self) -> Vec<Arc<Session>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes out the sessions that a test picks: reads to come get new ones.
    pub(crate) fn take(&self, picked: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let picked = known.extract_if(|_, (session, _)| picked(session));
        picked.map(|(_, (session, _))| session).collect()
    }
}

/// A name that no other record has.
fn fresh_record() -> String {
    let mut name = [0; 16];
    // without random numbers there is no TLS either
    let _ = SystemRandom::new().fill(&mut name);
    HEXLOWER.encode(&name)
}
