//! The state directory on tmpfs, in which tokens and leases survive a restart of the process.
//!
//! Each file is one record: a line with format and checksum, then the record. A file is either
//! complete or absent.

use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use coffer_provider::{Secret, StateStore, StoreError, StoredText};
use data_encoding::HEXLOWER;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::unistd::geteuid;
use ring::digest;
use tokio::time::{Instant, sleep};

/// Name of the format.
const FORMAT: &str = "coffer-state";

/// Version of the format.
const VERSION: &str = "1";

/// Length of a record's name: 16 bytes in hexadecimal.
const NAME_LENGTH: usize = 32;

/// Maximum size of a record, in bytes, more than a session with all that it may hold.
const MAX_RECORD: u64 = 16 << 20;

/// Maximum wait for the lock, which an agent that shuts down still holds.
const LOCK_WAIT: Duration = Duration::from_secs(20);

/// A state directory, locked against other agents while this value lives.
pub(crate) struct StateDir {
    path: PathBuf,
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

impl StateDir {
    /// Creates the directory if there is none, checks it, and locks it.
    ///
    /// # Errors
    /// [`StateDirError`], if the directory is not on tmpfs or belongs to another user, the
    /// operating system refuses, or another agent does not release the lock in time.
    pub(crate) async fn open(path: &Path) -> Result<Self, StateDirError> {
        prepare(path)?;
        let lock = lock(path).await?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Returns whether no agent has locked the directory. The test itself locks the directory for a
    /// moment.
    pub(crate) fn is_free(path: &Path) -> bool {
        lock_file(path).is_ok_and(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok())
    }

    /// Returns the path of a file in the directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn remove_file(&self, name: &str) {
        if let Err(error) = fs::remove_file(self.file(name))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.path.display(), "a stored session cannot be removed");
        }
    }

    /// Reads a record, and checks owner, format and checksum.
    fn read(&self, name: &str) -> Result<Secret, Damage> {
        let file =
            OpenOptions::new().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(self.file(name))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.uid() != geteuid().as_raw() || metadata.len() > MAX_RECORD {
            return Err(Damage::Foreign);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        (&file).take(MAX_RECORD).read_to_end(&mut bytes)?;
        let bytes = Secret::new(bytes);
        let line = bytes.expose().iter().position(|b| *b == b'\n').ok_or(Damage::Foreign)?;
        let (header, record) = (&bytes.expose()[..line], &bytes.expose()[line + 1..]);
        if header == self::header(record).trim_end().as_bytes() {
            return Ok(Secret::new(record));
        }
        let mut words = str::from_utf8(header).unwrap_or_default().split(' ');
        Err(match (words.next(), words.next()) {
            (Some(FORMAT), Some(VERSION)) => Damage::Checksum,
            (Some(FORMAT), Some(_)) => Damage::OtherVersion,
            _ => Damage::Foreign,
        })
    }
}

impl StateStore for StateDir {
    fn names(&self) -> Vec<String> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "the stored sessions cannot be read");
                return Vec::new();
            }
        };
        let mut names = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".tmp") {
                // the process ended during this write
                let _ = fs::remove_file(entry.path());
            } else if is_record(&name) {
                names.push(name);
            } else if !name.contains('.') {
                self.set_aside(&name, &Damage::Foreign);
            }
        }
        names
    }

    fn load(&self, name: &str) -> Option<StoredText> {
        match self.read(name) {
            Ok(record) => Some(StoredText { record, journal: self.read(&journal(name)).ok() }),
            Err(damage) => {
                self.set_aside(name, &damage);
                None
            }
        }
    }

    fn save_journal(&self, name: &str, text: &Secret) -> Result<(), StoreError> {
        self.save(&journal(name), text)
    }

    fn remove_journal(&self, name: &str) {
        self.remove_file(&journal(name));
    }

    fn save(&self, name: &str, record: &Secret) -> Result<(), StoreError> {
        let staged = self.file(&format!("{name}.tmp"));
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .custom_flags(OFlag::O_NOFOLLOW.bits());
            let mut file = options.open(&staged)?;
            file.write_all(header(record.expose()).as_bytes())?;
            file.write_all(record.expose())?;
            fs::rename(&staged, self.file(name))
        };
        write().map_err(|source| {
            let _ = fs::remove_file(&staged);
            StoreError { place: self.path.clone(), source }
        })
    }

    fn remove(&self, name: &str) {
        self.remove_file(name);
        self.remove_file(&journal(name));
    }

    fn set_aside(&self, name: &str, reason: &dyn fmt::Display) {
        let aside = self.file(&format!("{name}.damaged"));
        let moved = fs::rename(self.file(name), &aside);
        tracing::warn!(
            file = %self.file(name).display(),
            "not a stored session: {reason}. Its pod logs in anew; the file {}",
            if moved.is_ok() { "is now called *.damaged" } else { "cannot be renamed" }
        );
    }
}

/// Why a file is not a record.
#[derive(Debug, thiserror::Error)]
enum Damage {
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    #[error("its checksum is another one")]
    Checksum,
    #[error("it was written by another version of coffer-csi")]
    OtherVersion,
    #[error("it was not written by coffer-csi")]
    Foreign,
}

/// Returns the name of the journal beside a record. A release without journals takes no notice of
/// names with a dot.
fn journal(record: &str) -> String {
    format!("{record}.journal")
}

/// Returns whether a file has the name of a record.
fn is_record(name: &str) -> bool {
    name.len() == NAME_LENGTH && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Returns the first line of a record's file.
fn header(record: &[u8]) -> String {
    format!("{FORMAT} {VERSION} {}\n", HEXLOWER.encode(digest::digest(&digest::SHA256, record).as_ref()))
}

/// Creates the directory if there is none, checks that it is fit for secrets, and sets its mode to
/// 0700.
fn prepare(path: &Path) -> Result<(), StateDirError> {
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

/// Locks the directory, and waits if another agent still holds the lock.
async fn lock(path: &Path) -> Result<Flock<File>, StateDirError> {
    let failed = |source| StateDirError::System { path: path.to_owned(), action: "lock it", source };
    let mut file = lock_file(path).map_err(failed)?;
    let until = Instant::now() + LOCK_WAIT;
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((file, Errno::EWOULDBLOCK)) if Instant::now() < until => file,
            Err((_, Errno::EWOULDBLOCK)) => return Err(StateDirError::Held(path.to_owned())),
            Err((_, error)) => return Err(failed(error.into())),
        };
        sleep(Duration::from_millis(100)).await;
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    options.open(path.join(".lock"))
}

#[cfg(test)]
mod tests;
