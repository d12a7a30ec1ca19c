//! The provider's socket: bound without a gap in time, open to root alone, watched while the agent
//! serves, and removed with its process.

pub(crate) mod endpoint;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime};

use coffer_process::DescriptorReserve;
use futures_util::stream::{self, Stream};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::geteuid;
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::time::{Interval, sleep};

pub(crate) use self::endpoint::{is_discoverable, parse_endpoint};
use crate::authority_filter::AuthorityFilter;
use crate::file_id::FileId;
use crate::node_health::NodeHealth;

/// Longest path of a socket, in bytes: the kernel takes 108, the last of which is NUL.
const MAX_PATH_BYTES: usize = 107;
const BACKLOG: u32 = 128;
/// Pause after a failed accept, for causes such as too many open files to go away.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// A connection of the driver.
pub(crate) type DriverConnection = AuthorityFilter<UnixStream>;

/// The socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// The directory for the socket does not exist.
    #[error("the socket's directory {} does not exist", .0.display())]
    NoDirectory(PathBuf),
    /// The directory was deleted from the node, and this process still has it mounted.
    #[error(
        "the socket's directory {} was deleted on the node: the container has to start again to see a new one",
        .0.display()
    )]
    DirectoryDeleted(PathBuf),
    /// There is a file at the path that is not a socket.
    #[error("{} exists and is not a socket: it is not replaced", .0.display())]
    Occupied(PathBuf),
    /// The path is longer than the kernel allows.
    #[error("the socket's path {} is too long: at most {MAX_PATH_BYTES} bytes", .0.display())]
    TooLong(PathBuf),
    /// The system refused.
    #[error("cannot {action} the socket {}: {source}", path.display())]
    System {
        /// The step that failed.
        action: &'static str,
        /// Path of the socket.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The listening socket. Its file is watched while connections are accepted, and removed when this
/// is dropped.
#[derive(Debug)]
pub(crate) struct DriverListener {
    path: PathBuf,
    bound: BoundSocket,
    /// Connections that waited at the socket before this one, for which the driver waits.
    waiting: VecDeque<UnixStream>,
    checks: Interval,
    health: NodeHealth,
}

/// A socket that listens, and its file.
#[derive(Debug)]
struct BoundSocket {
    listener: UnixListener,
    reserve: DescriptorReserve,
    file: FileId,
    mode: u32,
}

impl DriverListener {
    /// Listens at the path, and replaces a socket that is there. Needs a tokio runtime. What goes
    /// wrong with the file later is reported to `health`.
    ///
    /// # Errors
    /// The path cannot be used, or the system refuses.
    pub(crate) fn bind(path: &Path, health: NodeHealth) -> Result<Self, BindError> {
        let bound = BoundSocket::bind(path)?;
        Ok(Self { path: path.to_owned(), bound, waiting: VecDeque::new(), checks: watch::checks(), health })
    }

    /// Returns an endless stream of connections. The listener lives as long as the stream.
    pub(crate) fn connections(self) -> impl Stream<Item = Result<DriverConnection, Infallible>> + Send {
        stream::unfold(self, |mut listener| async {
            let connection = listener.accept().await;
            Some((Ok(connection), listener))
        })
    }

    /// Waits for the next connection from root or from the user of this process. Meanwhile the
    /// socket's file is watched.
    pub(crate) async fn accept(&mut self) -> DriverConnection {
        loop {
            let accepted = match self.waiting.pop_front() {
                Some(stream) => Ok(stream),
                None => tokio::select! {
                    accepted = self.bound.accept() => accepted,
                    _ = self.checks.tick() => {
                        self.check().await;
                        continue;
                    }
                },
            };
            match accepted {
                Ok(stream) if is_trusted(&stream) => return AuthorityFilter::new(stream),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Removes the socket's file, unless another agent has replaced it.
    ///
    /// The inode is not reused meanwhile, since the open socket holds it.
    pub(crate) fn unlink(&self) {
        let ours = FileId::of(&self.path).is_ok_and(|file| file == self.bound.file);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the socket");
        }
    }
}

impl Drop for DriverListener {
    fn drop(&mut self) {
        self.unlink();
    }
}

impl BoundSocket {
    /// Listens at the path, and replaces a socket that is there.
    ///
    /// The socket listens before it gets its name, so the driver always finds one to connect to.
    /// Its mode is 0600 from the start, whatever the umask.
    ///
    /// # Errors
    /// The path cannot be used, or the system refuses.
    fn bind(path: &Path) -> Result<Self, BindError> {
        check_path(path)?;
        let staged = staged(path);
        if let Some(path) = [path, &staged].into_iter().find(|path| path.as_os_str().len() > MAX_PATH_BYTES) {
            return Err(BindError::TooLong(path.to_owned()));
        }
        Self::publish(&staged, path).inspect_err(|_| {
            let _ = fs::remove_file(&staged);
        })
    }

    fn publish(staged: &Path, path: &Path) -> Result<Self, BindError> {
        let failed = |action| {
            let path = path.to_owned();
            move |source| BindError::System { action, path, source }
        };
        let socket = UnixSocket::new_stream().map_err(failed("create"))?;
        fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(|error| failed("set the mode of")(error.into()))?;
        socket.bind(staged).map_err(failed("bind"))?;
        let listener = socket.listen(BACKLOG).map_err(failed("listen on"))?;
        let metadata = fs::symlink_metadata(staged).map_err(failed("examine"))?;
        fs::rename(staged, path).map_err(failed("rename"))?;
        let mut reserve = DescriptorReserve::default();
        reserve.restore(&listener);
        Ok(Self { listener, reserve, file: FileId::from(&metadata), mode: metadata.mode() })
    }

    /// Accepts a connection, by the descriptor in reserve where no other is left.
    async fn accept(&mut self) -> io::Result<UnixStream> {
        self.reserve.restore(&self.listener);
        match self.listener.accept().await {
            Err(error) if self.reserve.give_up(&error) => Ok(self.listener.accept().await?.0),
            accepted => Ok(accepted?.0),
        }
    }
}

/// Checks that the directory exists and that the path is free or a socket's.
fn check_path(path: &Path) -> Result<(), BindError> {
    let directory = directory(path);
    match fs::metadata(directory) {
        Ok(metadata) if !metadata.is_dir() => return Err(BindError::NoDirectory(directory.to_owned())),
        Ok(metadata) if metadata.nlink() == 0 => {
            return Err(BindError::DirectoryDeleted(directory.to_owned()));
        }
        Ok(_) => {}
        Err(_) => return Err(BindError::NoDirectory(directory.to_owned())),
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => Err(BindError::Occupied(path.to_owned())),
        _ => Ok(()),
    }
}

/// Returns a hidden name beside the path. It has the time, since in containers process ids repeat.
fn staged(path: &Path) -> PathBuf {
    let time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos();
    directory(path).join(format!(".{:x}.{time:x}", process::id()))
}

/// Returns the directory of the socket.
pub(crate) fn directory(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn is_trusted(stream: &UnixStream) -> bool {
    let uid = match stream.peer_cred() {
        Ok(peer) => peer.uid(),
        Err(error) => {
            tracing::warn!(%error, "connection dropped: its user cannot be found out");
            return false;
        }
    };
    let trusted = may_connect(uid, geteuid().as_raw());
    if !trusted {
        tracing::warn!(uid, "connection dropped: only root and the provider's own user may connect");
    }
    trusted
}

fn may_connect(uid: u32, own: u32) -> bool {
    uid == 0 || uid == own
}
