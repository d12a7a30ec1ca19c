//! Storage of sessions, so that no login and no issuing is needed after a restart.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use coffer_vault::Secret;

use super::{Journal, record};
use crate::Clock;
use crate::session::{Session, StoredRecord};

/// Port: stores the records of sessions over a restart of the process. Records hold secrets.
pub trait StateStore: Send + Sync {
    /// Returns the names of all records.
    fn names(&self) -> Vec<String>;

    /// Returns whether there is a record of this name.
    fn contains(&self, name: &str) -> bool;

    /// Returns a record. A record that cannot be read is logged, and none is returned.
    fn load(&self, name: &str) -> Option<StoredText>;

    /// Stores a record under a name, and replaces the record with that name. After a failure or a
    /// crash the old record is still complete.
    ///
    /// # Errors
    /// [`StoreError`], if the operating system refuses.
    fn save(&self, name: &str, record: &Secret) -> Result<(), StoreError>;

    /// Stores the journal beside the record of this name. The journal is much smaller, and is stored
    /// much more often.
    ///
    /// # Errors
    /// [`StoreError`], if the operating system refuses.
    fn save_journal(&self, name: &str, journal: &Secret) -> Result<(), StoreError>;

    /// Removes the journal of a record.
    fn remove_journal(&self, name: &str);

    /// Removes a record and its journal.
    fn remove(&self, name: &str);

    /// Renames a record that cannot be used, so that an operator can examine the record, and logs
    /// the reason.
    fn set_aside(&self, name: &str, reason: &dyn fmt::Display);
}

/// What is stored of a session.
pub struct StoredText {
    /// The record.
    pub record: Secret,
    /// The journal; none if no request was in progress.
    pub journal: Option<Secret>,
}

/// A record that was not stored.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", place.display())]
pub struct StoreError {
    /// The directory.
    pub place: PathBuf,
    /// The error of the operating system.
    pub source: io::Error,
}

/// Storing a session takes at most one part in this many of the time.
const PAUSE_FACTOR: u32 = 20;

/// Maximum time after which a change is stored.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Whether leases are managed: after the start of the lease manager, while the pod watch works.
#[derive(Default)]
pub(crate) struct Leases {
    /// Set when the lease manager starts.
    store: OnceLock<LeaseStore>,
    /// Whether the pod watch does not work.
    unwatched: AtomicBool,
}

/// The state store, and the journal that is stored with each session.
pub(crate) struct LeaseStore {
    port: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    pub(crate) journal: Journal,
    /// Whether storing fails, so that only the first failure is logged.
    failing: AtomicBool,
}

impl Leases {
    /// Sets the state store. A second call has no effect.
    pub(crate) fn start(&self, port: Arc<dyn StateStore>, clock: Arc<dyn Clock>) {
        let (journal, failing) = (Journal::default(), AtomicBool::new(false));
        let _ = self.store.set(LeaseStore { port, clock, journal, failing });
    }

    /// Returns the store, even while the pod watch does not work.
    pub(crate) fn store(&self) -> Option<&LeaseStore> {
        self.store.get()
    }

    /// Returns the store if leases are managed now.
    pub(crate) fn active(&self) -> Option<&LeaseStore> {
        self.store.get().filter(|_| !self.unwatched.load(Ordering::Relaxed))
    }

    /// Notes whether the pod watch works. Returns whether this is a change.
    pub(crate) fn switch(&self, on: bool) -> bool {
        self.unwatched.swap(!on, Ordering::Relaxed) == on
    }
}

impl LeaseStore {
    /// Returns the names of all stored records.
    pub(super) fn names(&self) -> Vec<String> {
        self.port.names()
    }

    /// Returns a stored record.
    pub(super) fn load(&self, name: &str) -> Option<StoredText> {
        self.port.load(name)
    }

    /// Renames a record that cannot be used.
    pub(super) fn set_aside(&self, name: &str, reason: &dyn fmt::Display) {
        self.port.set_aside(name, reason);
    }

    /// Stores a session, or removes its record if the session has neither tokens nor issued
    /// answers.
    ///
    /// A failure is logged, and does not fail the mount: tokens and leases are lost only if the
    /// process restarts before the next success.
    pub(crate) fn save(&self, session: &Session) {
        let began = self.clock.now();
        let Some(record) = record::write(session, &*self.clock) else {
            session.changes.clear();
            *session.lock_stored() = StoredRecord::default();
            return self.port.remove(&session.record_name);
        };
        session.cover_record(record.len());
        match self.port.save(&session.record_name, &record) {
            Ok(()) => {
                session.changes.clear();
                session.lock_stored().exists = true;
                self.save_journal(session);
                self.note_success();
            }
            Err(error) => self.note_failure(&error),
        }
        let now = self.clock.now();
        let took = now.saturating_duration_since(began);
        session.lock_stored().not_before = Some(now + (took * PAUSE_FACTOR).min(LONGEST_PAUSE));
    }

    /// Stores a session whose changes need not be stored at once, if enough time has passed since it
    /// was stored. Returns when to try again; none if the session is stored now.
    pub(super) fn save_when_due(&self, session: &Session) -> Option<Instant> {
        let not_before = session.lock_stored().not_before;
        if let Some(at) = not_before.filter(|at| *at > self.clock.now()) {
            return Some(at);
        }
        self.save(session);
        None
    }

    /// Stores a session again whose record somebody removed.
    pub(super) fn store_if_lost(&self, session: &Session) {
        let existed = session.lock_stored().exists;
        if existed && !self.port.contains(&session.record_name) {
            self.save(session);
        }
    }

    /// Stores the paths of the requests in progress at which Vault may issue something.
    pub(super) fn save_journal(&self, session: &Session) {
        let in_progress = session.issued.in_progress().clone();
        if in_progress.is_empty() {
            return self.port.remove_journal(&session.record_name);
        }
        let journal = Secret::new(in_progress.join("\n"));
        match self.port.save_journal(&session.record_name, &journal) {
            Ok(()) => self.note_success(),
            Err(error) => self.note_failure(&error),
        }
    }

    fn note_success(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("leases and tokens are stored again");
        }
    }

    fn note_failure(&self, error: &StoreError) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "leases and tokens are not stored, so that a restart of coffer-csi would lose them: {error}"
            );
        }
    }

    /// Removes a session's record.
    pub(crate) fn remove(&self, session: &Session) {
        self.port.remove(&session.record_name);
    }
}
