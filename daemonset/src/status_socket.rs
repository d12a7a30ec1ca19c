//! The socket of `coffer status`. Root of this node connects, and gets the inventory as one JSON
//! document.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use coffer_provider::InventorySource;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

/// The file name of the socket in the state directory, which only root may enter.
pub(crate) const NAME: &str = "status.sock";

/// Timeout of an answer, and wait after a failed `accept`.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Listens at a path. The socket of an earlier agent at that path is removed.
///
/// # Errors
/// The error of the operating system.
pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers clients until the future is dropped.
pub(crate) async fn serve(listener: UnixListener, source: InventorySource) {
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

async fn answer(mut stream: UnixStream, source: &InventorySource) -> io::Result<()> {
    let inventory = serde_json::to_vec(&source.inventory()).map_err(io::Error::other)?;
    stream.write_all(&inventory).await?;
    stream.shutdown().await
}
