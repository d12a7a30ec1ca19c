//! The directory itself: fit for secrets, and locked against other agents.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::unistd::geteuid;
use tokio::time::{Instant, sleep};

use crate::file_id::FileId;

/// Name of the file that is locked.
const LOCK_NAME: &str = ".lock";

/// Maximum wait for the lock, which an agent that shuts down still holds.
const LOCK_WAIT: Duration = Duration::from_secs(20);

/// The directory that is locked, and the lock.
pub(super) struct LockedDirectory {
    directory: FileId,
    lock_file: FileId,
    _lock: Flock<File>,
}

/// Why a directory cannot be the state directory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateDirError {
    /// The directory is not fit for secrets.
    #[error("-state-dir {}: {reason}", path.display())]
    Unfit {
        /// The directory.
        path: PathBuf,
        /// The reason, and what to do.
        reason: &'static str,
    },
    /// The operating system refused an action.
    #[error("-state-dir {}: cannot {action}: {source}", path.display())]
    System {
        /// The directory.
        path: PathBuf,
        /// The action.
        action: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Another agent has locked the directory.
    #[error(
        "-state-dir {}: another coffer-csi on this node holds it. Give each its own, and update with maxSurge 0",
        .0.display()
    )]
    Held(PathBuf),
}

/// Creates the directory if there is none, checks that it is fit for secrets, and sets its mode to
/// 0700.
pub(super) fn prepare(path: &Path) -> Result<(), StateDirError> {
    let failed = |action| {
        let path = path.to_owned();
        move |source| StateDirError::System { path, action, source }
    };
    let unfit = |reason| StateDirError::Unfit { path: path.to_owned(), reason };
    let created = match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(failed("create it")(error)),
    };
    let metadata = fs::symlink_metadata(path).map_err(failed("read its metadata"))?;
    if !metadata.is_dir() {
        return Err(unfit("is no directory"));
    }
    if metadata.nlink() == 0 {
        return Err(unfit("was deleted on the node: the container has to start again to see a new one"));
    }
    let file_system = statfs(path).map_err(|error| failed("determine its file system")(error.into()))?;
    if file_system.filesystem_type() != TMPFS_MAGIC {
        if created {
            let _ = fs::remove_dir(path);
        }
        return Err(unfit(
            "is not on tmpfs: tokens must not reach a disk. Take a directory under /run of the node",
        ));
    }
    if metadata.uid() != geteuid().as_raw() {
        return Err(unfit("belongs to another user"));
    }
    // kubelet creates the directory of a hostPath volume with mode 0755
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(|error| match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => unfit("is mounted read-only: mount it writable"),
        _ => failed("set its mode to 0700")(error),
    })
}

impl LockedDirectory {
    /// Locks the directory, and waits if another agent still holds the lock.
    pub(super) async fn wait(path: &Path) -> Result<Self, StateDirError> {
        let until = Instant::now() + LOCK_WAIT;
        loop {
            match Self::take(path) {
                Err(StateDirError::Held(_)) if Instant::now() < until => {
                    sleep(Duration::from_millis(100)).await;
                }
                taken => return taken,
            }
        }
    }

    /// Locks the directory.
    pub(super) fn take(path: &Path) -> Result<Self, StateDirError> {
        let failed = |source| StateDirError::System { path: path.to_owned(), action: "lock it", source };
        let file = lock_file(path).map_err(failed)?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => StateDirError::Held(path.to_owned()),
            errno => failed(errno.into()),
        })?;
        let lock_file = FileId::from(&lock.metadata().map_err(failed)?);
        Ok(Self { directory: FileId::of(path).map_err(failed)?, lock_file, _lock: lock })
    }

    /// Returns whether this directory and its lock are still at the path.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        FileId::of(path).is_ok_and(|directory| directory == self.directory)
            && FileId::of(&path.join(LOCK_NAME)).is_ok_and(|file| file == self.lock_file)
    }
}

/// Returns whether no agent has locked the directory, or there is none.
pub(super) fn is_free(path: &Path) -> bool {
    match lock_file(path) {
        Ok(file) => Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    options.open(path.join(LOCK_NAME))
}
