//! Leases on this node: the state directory, the watch on the node's pods, and the lease manager.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coffer_kubernetes::PodWatch;
use coffer_provider::{LeaseManager, LostRecords, PodEvents, Provider, StateStore};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::node_health::{NodeFault, NodeHealth, NodePart};
use crate::state_dir::{StateDir, StateDirError};
use crate::status_socket::{self, StatusSocket, StatusSource};
use crate::volumes::Volumes;

/// Maximum time of revocation at shutdown. By default a pod has 30 s to end, and mounts are drained
/// first.
const REVOCATION: Duration = Duration::from_secs(15);

/// Interval at which the agent checks whether another agent has released the directory.
const POLL_HELD_DIRECTORY: Duration = Duration::from_secs(2);

/// Interval of the checks of the state directory.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

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

/// The lease manager of this node, with the pod watch, the socket of `coffer status` and the watch
/// on the state directory.
pub(crate) struct NodeLeases {
    manager: LeaseManager,
    directory: Arc<StateDir>,
    checks: JoinHandle<()>,
    _watch: PodWatch,
    revoke_on_shutdown: bool,
}

impl NodeLeases {
    /// Starts the pod watch, the lease manager with the stored sessions, and the status socket.
    /// What goes wrong with the directory later is mended or reported to `health`.
    pub(crate) fn start(
        config: &LeaseConfig,
        directory: &Arc<StateDir>,
        provider: &Provider,
        volumes: &Arc<Volumes>,
        health: NodeHealth,
    ) -> Self {
        let (watch, pods) = PodWatch::start(&config.node);
        let pods = note_pods(pods, Arc::clone(volumes));
        let store = Arc::clone(directory) as Arc<dyn StateStore>;
        let manager = provider.start_lease_manager(store, pods);
        let status = StatusSource { inventory: manager.inventory_source(), volumes: Arc::clone(volumes) };
        let status = StatusSocket::new(directory.file(status_socket::NAME), status);
        let mut watched = WatchedDirectory {
            directory: Arc::clone(directory),
            records: manager.lost_records(),
            status,
            health,
        };
        watched.check();
        Self {
            manager,
            directory: Arc::clone(directory),
            checks: tokio::spawn(watched.follow()),
            _watch: watch,
            revoke_on_shutdown: config.revoke_on_shutdown,
        }
    }

    /// Stops the lease manager. Sessions are stored for the next start, or their tokens are
    /// revoked; not if another agent took the directory, and with it the leases.
    pub(crate) async fn stop(self) {
        self.checks.abort();
        let _ = self.checks.await;
        let revoke = self.revoke_on_shutdown && !self.directory.is_taken();
        self.manager.stop(revoke.then_some(REVOCATION)).await;
    }
}

/// Notes the events of the pod watch in the table of volumes, and passes them on.
fn note_pods(pods: PodEvents, volumes: Arc<Volumes>) -> PodEvents {
    let PodEvents { mut events, list } = pods;
    let (sender, noted) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            volumes.note_pods(&event, std::time::Instant::now());
            if sender.send(event).await.is_err() {
                return;
            }
        }
    });
    PodEvents { events: noted, list }
}

/// The state directory and what has to be in it.
struct WatchedDirectory {
    directory: Arc<StateDir>,
    records: LostRecords,
    status: StatusSocket,
    health: NodeHealth,
}

impl WatchedDirectory {
    /// Checks the directory until the future is dropped.
    async fn follow(mut self) {
        loop {
            sleep(CHECK_INTERVAL).await;
            self.check();
        }
    }

    /// Makes anew what is gone, and reports what cannot be mended. Leases are then kept in memory,
    /// where a restart would lose them: so the agent stays alive. Only if another agent has taken
    /// the leases, this one has to start anew without them.
    fn check(&mut self) {
        let checked = self.directory.check();
        if let Ok(mended) = checked {
            if mended {
                tracing::warn!("the state directory was not as it should be: locked again and filled");
            }
            self.records.store_again();
            self.status.check();
        }
        let fault = checked.err().map(|error| NodeFault {
            restart: matches!(error, StateDirError::Held(_)),
            reason: error.to_string(),
        });
        let reason = fault.as_ref().map(|fault| fault.reason.clone());
        if self.health.set(NodePart::StateDirectory, fault) {
            match reason {
                Some(reason) => tracing::error!(
                    reason,
                    "leases and tokens are not stored, so that a restart of coffer-csi would lose them"
                ),
                None => tracing::info!("the state directory can be used again"),
            }
        }
    }
}
