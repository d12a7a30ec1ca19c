//! Where sessions are stored, so that a restart neither logs in nor issues anew.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use coffer_vault::Secret;

use super::{Journal, record};
use crate::Clock;
use crate::session::Session;

/// Port: keeps what must survive a restart of the process. The records hold secrets.
pub trait StateStore: Send + Sync {
    /// Returns every record by name. A record that cannot be read is left out, and the log says so.
    fn load(&self) -> Vec<(String, Secret)>;

    /// Stores a record under a name, whole or not at all, in place of the one before.
    ///
    /// # Errors
    /// [`StoreError`] where the system refuses.
    fn save(&self, name: &str, record: &Secret) -> Result<(), StoreError>;

    /// Removes a record.
    fn remove(&self, name: &str);

    /// Puts a record that cannot be used out of the way, for someone to look at, and logs the reason.
    fn set_aside(&self, name: &str, reason: &dyn fmt::Display);
}

/// A record that was not stored.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", place.display())]
pub struct StoreError {
    /// The directory.
    pub place: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Whether leases are kept. They are from the start of the lease manager on, while it is known when a pod is
/// gone.
#[derive(Default)]
pub(crate) struct Leases {
    store: OnceLock<LeaseStore>,
    unwatched: AtomicBool,
}

/// The state store, and the journal that is stored with each session.
pub(crate) struct LeaseStore {
    port: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    pub(crate) journal: Journal,
    /// Whether the last record was not stored, which is logged once.
    failing: AtomicBool,
}

impl Leases {
    /// Starts to keep leases in a store; a second call changes nothing.
    pub(crate) fn start(&self, port: Arc<dyn StateStore>, clock: Arc<dyn Clock>) {
        let (journal, failing) = (Journal::default(), AtomicBool::new(false));
        let _ = self.store.set(LeaseStore { port, clock, journal, failing });
    }

    /// Returns the store, whether leases are kept at this moment or not.
    pub(crate) fn store(&self) -> Option<&LeaseStore> {
        self.store.get()
    }

    /// Returns the store where leases are kept at this moment.
    pub(crate) fn active(&self) -> Option<&LeaseStore> {
        self.store.get().filter(|_| !self.unwatched.load(Ordering::Relaxed))
    }

    /// Switches keeping on or off. Returns whether that changed it.
    pub(crate) fn switch(&self, on: bool) -> bool {
        self.unwatched.swap(!on, Ordering::Relaxed) == on
    }
}

impl LeaseStore {
    /// Returns every stored record by name.
    pub(super) fn load(&self) -> Vec<(String, Secret)> {
        self.port.load()
    }

    /// Puts a record that cannot be used out of the way.
    pub(super) fn set_aside(&self, name: &str, reason: &dyn fmt::Display) {
        self.port.set_aside(name, reason);
    }

    /// Stores a session, or removes its record where it owns nothing that a restart should find. A store that
    /// fails is no reason to fail a mount: a restart costs more then, and the log says so.
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
