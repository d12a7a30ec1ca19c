//! The socket of `coffer status`. Root of this node connects, and gets the inventory as one JSON
//! document.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_provider::{FailingMount, Inventory, InventorySource};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::file_id::FileId;
use crate::metrics::MountOutcome;
use crate::volumes::{FailingVolume, Volumes};

/// The file name of the socket in the state directory, which only root may enter.
pub(crate) const NAME: &str = "status.sock";

/// Timeout of an answer, and wait after a failed `accept`.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The socket, served from [`Self::check`] until this is dropped.
pub(crate) struct StatusSocket {
    path: PathBuf,
    source: StatusSource,
    served: Option<ServedSocket>,
    /// Whether the last attempt to listen failed, so that only the first failure is logged.
    failing: bool,
}

/// What the answers are made of.
#[derive(Clone)]
pub(crate) struct StatusSource {
    pub(crate) inventory: InventorySource,
    pub(crate) volumes: Arc<Volumes>,
}

/// The task that serves the socket, and the socket's file.
struct ServedSocket {
    task: JoinHandle<()>,
    file: FileId,
}

impl StatusSocket {
    /// Returns the socket at a path, which is not served yet.
    pub(crate) fn new(path: PathBuf, source: StatusSource) -> Self {
        Self { path, source, served: None, failing: false }
    }

    /// Serves the socket, anew if its file is gone. The socket of an earlier agent is removed.
    pub(crate) fn check(&mut self) {
        let file = FileId::of(&self.path).ok();
        if self.served.as_ref().is_some_and(|served| Some(served.file) == file) {
            return;
        }
        match listen(&self.path).and_then(|listener| Ok((listener, FileId::of(&self.path)?))) {
            Ok((listener, file)) => {
                let task = tokio::spawn(serve(listener, self.source.clone()));
                self.served = Some(ServedSocket { task, file });
                self.failing = false;
            }
            Err(error) if !self.failing => {
                tracing::error!(%error, path = %self.path.display(), "cannot listen for coffer status");
                self.failing = true;
            }
            Err(_) => {}
        }
    }
}

impl Drop for ServedSocket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens at a path. The socket of an earlier agent at that path is removed.
fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers clients until the future is dropped.
async fn serve(listener: UnixListener, source: StatusSource) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // after the timeout a client that does not read is dropped
                let _ = timeout(TIMEOUT, answer(stream, &source)).await;
            }
            Err(_) => sleep(TIMEOUT).await,
        }
    }
}

async fn answer(mut stream: UnixStream, source: &StatusSource) -> io::Result<()> {
    let failing = source.volumes.failing(Instant::now()).into_iter().map(failing_mount).collect();
    let inventory = Inventory { failing, ..source.inventory.inventory() };
    let inventory = serde_json::to_vec(&inventory).map_err(io::Error::other)?;
    stream.write_all(&inventory).await?;
    stream.shutdown().await
}

fn failing_mount(volume: FailingVolume) -> FailingMount {
    FailingMount {
        namespace: volume.namespace.to_string(),
        pod: volume.pod.to_string(),
        class: volume.class.to_string(),
        failing_for: volume.failing_for.as_secs(),
        good_before: volume.good_before.map(|time| time.as_secs()),
        kind: MountOutcome::Failed(volume.kind).label().to_owned(),
        error: volume.error.to_string(),
    }
}
