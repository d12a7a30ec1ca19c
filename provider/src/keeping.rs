//! Whether what Vault issues is kept for the pod's life, and what that takes: a store that outlives the process, and
//! someone who renews and revokes.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::Secret;
use crate::plan::Request;
use crate::session::SessionKey;

/// Port: keeps what must survive a restart of the process. What it is given holds secrets.
pub trait StateStore: Send + Sync {
    /// Every record that was kept, by name; what cannot be read is left out, and said in the log.
    fn load(&self) -> Vec<(String, Secret)>;

    /// Keeps a record under a name, whole or not at all, in place of the one before.
    ///
    /// # Errors
    /// Why it is not kept.
    fn save(&self, name: &str, record: &Secret) -> Result<(), String>;

    /// Forgets a record.
    fn remove(&self, name: &str);

    /// Puts a record out of the way that cannot be used, and says so in the log; someone may want to look at it.
    fn set_aside(&self, name: &str, reason: &str);
}

/// Paths that are remembered as issuing nothing.
const MAX_QUIET: usize = 10_000;

/// The means to keep what was issued, shared by all sessions.
pub(crate) struct Keeping {
    store: Arc<dyn StateStore>,
    on: AtomicBool,
    /// Told when a session has something to be stored, renewed or revoked.
    pub(crate) changed: Notify,
    /// Hashes of what was read and brought no lease: there is nothing to write ahead before the next read.
    quiet: Mutex<HashSet<u64>>,
    /// Whether the store failed last, which is said once.
    failing: AtomicBool,
}

impl Keeping {
    pub(crate) fn new(store: Arc<dyn StateStore>) -> Self {
        Self {
            store,
            on: AtomicBool::new(true),
            changed: Notify::new(),
            quiet: Mutex::default(),
            failing: AtomicBool::new(false),
        }
    }

    /// Whether it is known when a pod is gone; without that, nothing is kept.
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Switches keeping on or off; true where that changed it.
    pub(crate) fn switch(&self, on: bool) -> bool {
        self.on.swap(on, Ordering::Relaxed) != on
    }

    pub(crate) fn load(&self) -> Vec<(String, Secret)> {
        self.store.load()
    }

    pub(crate) fn set_aside(&self, name: &str, reason: &str) {
        self.store.set_aside(name, reason);
    }

    /// Stores a record. A store that fails is no reason to fail a mount: a restart costs more then, and the log says so.
    pub(crate) fn save(&self, name: &str, record: &Secret) -> bool {
        let saved = self.store.save(name, record);
        match &saved {
            Err(reason) if !self.failing.swap(true, Ordering::Relaxed) => tracing::error!(
                "leases and tokens are not stored, so that a restart of coffer-csi would lose them: {reason}"
            ),
            Ok(()) if self.failing.swap(false, Ordering::Relaxed) => {
                tracing::info!("leases and tokens are stored again");
            }
            _ => {}
        }
        saved.is_ok()
    }

    pub(crate) fn remove(&self, name: &str) {
        self.store.remove(name);
    }

    /// Whether Vault may issue something at a request: it does at every POST and PUT, and of a GET it is known
    /// what it did the last time.
    pub(crate) fn may_issue(&self, key: &SessionKey, request: &Request) -> bool {
        let quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        request.issues() || !quiet.contains(&hash(key, request))
    }

    /// Notes whether a request brought something that was issued.
    pub(crate) fn note(&self, key: &SessionKey, request: &Request, issued: bool) {
        if request.issues() {
            return;
        }
        let hash = hash(key, request);
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        if issued {
            quiet.remove(&hash);
            return;
        }
        if quiet.len() >= MAX_QUIET {
            quiet.clear();
        }
        quiet.insert(hash);
    }
}

fn hash(key: &SessionKey, request: &Request) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&key.target, &key.namespace, request.id()).hash(&mut hasher);
    hasher.finish()
}
