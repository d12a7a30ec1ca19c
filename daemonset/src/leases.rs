//! Leases on this node: the state directory, the watch on the node's pods, and the lease manager.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coffer_kubernetes::PodWatch;
use coffer_provider::{LeaseManager, Provider, StateStore};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::state_dir::{StateDir, StateDirError};
use crate::status_socket;

/// Maximum time of revocation at shutdown. By default a pod has 30 s to end, and mounts are drained
/// first.
const REVOCATION: Duration = Duration::from_secs(15);

/// Interval at which the agent checks whether another agent has released the directory.
const POLL_HELD_DIRECTORY: Duration = Duration::from_secs(2);

/// The configuration of the lease manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeaseConfig {
    /// The state directory, on tmpfs.
    pub(crate) state_dir: PathBuf,
    /// The name of this node.
    pub(crate) node: String,
    /// Whether all tokens are revoked when the process ends.
    pub(crate) revoke_on_shutdown: bool,
}

impl LeaseConfig {
    /// Opens the state directory. Returns none if another agent has locked the directory; mounts
    /// then work without lease management.
    ///
    /// # Errors
    /// [`StateDirError`], if the directory is not fit for secrets or the operating system refuses.
    pub(crate) async fn open(&self) -> Result<Option<Arc<StateDir>>, StateDirError> {
        match StateDir::open(&self.state_dir).await {
            Ok(directory) => Ok(Some(Arc::new(directory))),
            Err(error @ StateDirError::Held(_)) => {
                tracing::error!(%error, "leases are not kept, renewed or revoked");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until no agent has locked the state directory.
    pub(crate) async fn until_free(&self) {
        while !StateDir::is_free(&self.state_dir) {
            sleep(POLL_HELD_DIRECTORY).await;
        }
    }
}

/// The lease manager of this node, with the pod watch and the socket of `coffer status`.
pub(crate) struct NodeLeases {
    manager: LeaseManager,
    status: Option<JoinHandle<()>>,
    _watch: PodWatch,
    revoke_on_shutdown: bool,
}

impl NodeLeases {
    /// Starts the pod watch, the lease manager with the stored sessions, and the status socket.
    pub(crate) fn start(config: &LeaseConfig, directory: &Arc<StateDir>, provider: &Provider) -> Self {
        let (watch, pods) = PodWatch::start(&config.node);
        let store = Arc::clone(directory) as Arc<dyn StateStore>;
        let manager = provider.start_lease_manager(store, pods);
        let path = directory.file(status_socket::NAME);
        let status = match status_socket::listen(&path) {
            Ok(listener) => Some(tokio::spawn(status_socket::serve(listener, manager.inventory_source()))),
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "cannot listen for coffer status");
                None
            }
        };
        Self { manager, status, _watch: watch, revoke_on_shutdown: config.revoke_on_shutdown }
    }

    /// Stops the lease manager. Sessions are stored for the next start, or their tokens are
    /// revoked.
    pub(crate) async fn stop(self) {
        if let Some(status) = self.status {
            status.abort();
        }
        self.manager.stop(self.revoke_on_shutdown.then_some(REVOCATION)).await;
    }
}
