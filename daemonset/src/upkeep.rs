//! What goes on beside the mounts: tokens and leases are stored, renewed, and revoked when their pod is gone.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coffer_kubernetes::PodWatch;
use coffer_provider::Provider;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::state_dir::{StateDir, StateDirError};
use crate::status_socket;

/// How long revocation at shutdown may take; a pod has 30 s to end by default, and mounts are drained first.
const REVOCATION: Duration = Duration::from_secs(15);

/// How often a directory that another agent holds is looked at.
const HELD: Duration = Duration::from_secs(2);

/// Where to keep what was issued, and whose pods it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keep {
    /// A directory on tmpfs.
    pub(crate) state_dir: PathBuf,
    /// The name of this node.
    pub(crate) node: String,
    /// Whether everything is revoked when the process ends.
    pub(crate) revoke_on_shutdown: bool,
}

impl Keep {
    /// The directory; none where another agent does not let it go, so that mounts go on without meanwhile.
    ///
    /// # Errors
    /// Where secrets must not lie there, or the system refuses.
    pub(crate) async fn open(&self) -> Result<Option<Arc<StateDir>>, StateDirError> {
        match StateDir::open(&self.state_dir).await {
            Ok(directory) => Ok(Some(Arc::new(directory))),
            Err(error @ StateDirError::Held(_)) => {
                tracing::error!("leases are not kept, renewed or revoked: {error}");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until no agent holds the directory.
    pub(crate) async fn until_free(&self) {
        while !StateDir::is_free(&self.state_dir) {
            sleep(HELD).await;
        }
    }
}

/// The tasks of it.
pub(crate) struct Upkeep {
    provider: Arc<Provider>,
    keeper: JoinHandle<()>,
    status: Option<JoinHandle<()>>,
    _watch: PodWatch,
    revoke_on_shutdown: bool,
}

impl Upkeep {
    /// Takes up what was stored, and starts to look after it.
    pub(crate) fn start(keep: &Keep, directory: &StateDir, provider: &Arc<Provider>) -> Self {
        provider.restore();
        let (watch, pods) = PodWatch::start(&keep.node);
        let status = directory.file(status_socket::NAME);
        let status = match status_socket::listen(&status) {
            Ok(listener) => Some(tokio::spawn(status_socket::serve(listener, Arc::clone(provider)))),
            Err(error) => {
                tracing::error!("coffer status is not answered at {}: {error}", status.display());
                None
            }
        };
        Self {
            provider: Arc::clone(provider),
            keeper: tokio::spawn(Arc::clone(provider).keep(pods)),
            status,
            _watch: watch,
            revoke_on_shutdown: keep.revoke_on_shutdown,
        }
    }

    /// Ends it: everything is stored for the next start, or revoked.
    pub(crate) async fn end(self) {
        self.keeper.abort();
        let _ = self.keeper.await;
        if let Some(status) = self.status {
            status.abort();
        }
        self.provider.store_changes();
        if self.revoke_on_shutdown {
            self.provider.revoke_all(REVOCATION).await;
        }
    }
}
