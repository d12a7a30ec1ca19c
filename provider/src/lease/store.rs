//! Storage of sessions, so that no login and no issuing is needed after a restart.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use coffer_vault::Secret;

use super::{Journal, record};
use crate::Clock;
use crate::session::Session;

/// Port: stores the records of sessions over a restart of the process. Records hold secrets.
pub trait StateStore: Send + Sync {
    /// Returns all records with their names. A record that cannot be read is logged and left out.
    fn load(&self) -> Vec<(String, Secret)>;

    /// Stores a record under a name, and replaces the record with that name. After a failure or a
    /// crash the old record is still complete.
    ///
    /// # Errors
    /// [`StoreError`], if the operating system refuses.
    fn save(&self, name: &str, record: &Secret) -> Result<(), StoreError>;

    /// Removes a record.
    fn remove(&self, name: &str);

    /// Renames a record that cannot be used, so that an operator can examine the record, and logs
    /// the reason.
    fn set_aside(&self, name: &str, reason: &dyn fmt::Display);
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
    /// Returns all stored records with their names.
    pub(super) fn load(&self) -> Vec<(String, Secret)> {
        self.port.load()
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
        let Some(record) = record::write(session, &*self.clock) else {
            session.changes.clear();
            return self.port.remove(&session.record_name);
        };
        match self.port.save(&session.record_name, &record) {
            Ok(()) => {
                session.changes.clear();
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("leases and tokens are stored again");
                }
            }
            Err(error) if !self.failing.swap(true, Ordering::Relaxed) => tracing::error!(
                "leases and tokens are not stored, so that a restart of coffer-csi would lose them: {error}"
            ),
            Err(_) => {}
        }
    }

    /// Removes a session's record.
    pub(crate) fn remove(&self, session: &Session) {
        self.port.remove(&session.record_name);
    }
}
