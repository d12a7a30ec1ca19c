//! The provider's socket: there without a gap, for root alone, and gone with its owner.

pub(crate) mod endpoint;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    process,
    time::{Duration, SystemTime},
};

use futures_util::stream::{self, Stream};
use nix::{
    sys::stat::{Mode, fchmod},
    unistd::geteuid,
};
use thiserror::Error;
use tokio::{
    net::{UnixListener, UnixSocket, UnixStream},
    time::sleep,
};
use tracing::warn;

pub(crate) use self::endpoint::{is_discoverable, parse_endpoint};
use crate::authority::AuthorityFilter;

/// The most bytes of a path that the kernel binds; one more of its 108 ends it.
const LONGEST_PATH: usize = 107;
const BACKLOG: u32 = 128;
/// How long to wait for a cause such as too many open files to go away.
const PAUSE: Duration = Duration::from_millis(200);

/// A connection of the driver's.
pub(crate) type Connection = AuthorityFilter<UnixStream>;

/// Why there is no socket.
#[derive(Debug, Error)]
pub(crate) enum BindError {
    /// The driver's directory of sockets is missing.
    #[error("the socket's directory {} is not there", .0.display())]
    NoDirectory(PathBuf),
    /// Something else has the name.
    #[error("{} is there and is no socket: it is not replaced", .0.display())]
    Occupied(PathBuf),
    /// The kernel takes no such path.
    #[error("the socket's path {} is too long: at most {LONGEST_PATH} bytes", .0.display())]
    TooLong(PathBuf),
    /// The system refused.
    #[error("cannot {action} the socket {}: {source}", path.display())]
    System {
        /// What was being done.
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The listening socket, whose file goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    path: PathBuf,
    file: FileId,
}

impl Listener {
    /// Listens at the path, in place of whichever socket has it; wants a runtime around it.
    ///
    /// The socket is complete before it gets its name, so there is always one to connect to, and its mode is 0600
    /// from its first moment, whatever the umask.
    pub(crate) fn bind(path: &Path) -> Result<Self, BindError> {
        check_place(path)?;
        let staged = staged(path);
        if let Some(path) = [path, &staged].into_iter().find(|path| path.as_os_str().len() > LONGEST_PATH) {
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
        fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|error| failed("guard")(error.into()))?;
        socket.bind(staged).map_err(failed("bind"))?;
        let listener = socket.listen(BACKLOG).map_err(failed("listen on"))?;
        let file = FileId::of(staged).map_err(failed("find"))?;
        fs::rename(staged, path).map_err(failed("publish"))?;
        Ok(Self { listener, path: path.to_owned(), file })
    }

    /// The connections, without end; the listener lives as long as the stream.
    pub(crate) fn connections(self) -> impl Stream<Item = Result<Connection, Infallible>> + Send {
        stream::unfold(self, |listener| async {
            let connection = listener.accept().await;
            Some((Ok(connection), listener))
        })
    }

    /// The next connection from root or from our own user.
    pub(crate) async fn accept(&self) -> Connection {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) if is_trusted(&stream) => return AuthorityFilter::new(stream),
                Ok(_) => {}
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Removes the socket's file, unless it is a successor's by now.
    ///
    /// The file's number is not given to another one meanwhile, since the open socket keeps it.
    pub(crate) fn unlink(&self) {
        let ours = FileId::of(&self.path).is_ok_and(|file| file == self.file);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            warn!(%error, path = %self.path.display(), "cannot remove the socket");
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.unlink();
    }
}

/// Only a socket may be replaced, and only in a directory that is there.
fn check_place(path: &Path) -> Result<(), BindError> {
    let directory = directory(path);
    if !directory.is_dir() {
        return Err(BindError::NoDirectory(directory.to_owned()));
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => Err(BindError::Occupied(path.to_owned())),
        _ => Ok(()),
    }
}

/// A hidden name beside the path. In a container our process id tells nobody apart, so it has the time in it too.
fn staged(path: &Path) -> PathBuf {
    let time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos();
    directory(path).join(format!(".{:x}.{time:x}", process::id()))
}

/// The directory that the socket lies in.
pub(crate) fn directory(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn is_trusted(stream: &UnixStream) -> bool {
    let uid = match stream.peer_cred() {
        Ok(peer) => peer.uid(),
        Err(error) => {
            warn!(%error, "connection dropped: its user is not known");
            return false;
        }
    };
    let trusted = may_connect(uid, geteuid().as_raw());
    if !trusted {
        warn!(uid, "connection dropped: only root and the provider's own user may connect");
    }
    trusted
}

fn may_connect(uid: u32, own: u32) -> bool {
    uid == 0 || uid == own
}

/// Which file it is, whatever its name.
#[derive(Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}
