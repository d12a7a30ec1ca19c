//! The state directory on tmpfs, in which tokens and leases survive a restart of the process.
//!
//! Each file is one record: a line with format and checksum, then the record. A file is either
//! complete or absent.

mod locked;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use coffer_provider::{Secret, StateStore, StoreError, StoredText};
use data_encoding::HEXLOWER;
use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use ring::digest;

pub(crate) use self::locked::StateDirError;
use self::locked::{LockedDirectory, prepare};

/// Name of the format.
const FORMAT: &str = "coffer-state";

/// Version of the format.
const VERSION: &str = "1";

/// Length of a record's name: 16 bytes in hexadecimal.
const NAME_LENGTH: usize = 32;

/// Names that are tried for what is set aside.
const MAX_ASIDE: usize = 8;

/// End of a journal's name.
const JOURNAL: &str = ".journal";

/// Maximum size of a record, in bytes, more than a session with all that it may hold.
const MAX_RECORD: u64 = 16 << 20;

/// What is no file is not opened: neither a link is followed, nor is waited at a named pipe.
const OPEN_FLAGS: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_NONBLOCK);

/// A state directory, locked against other agents while this value lives.
pub(crate) struct StateDir {
    path: PathBuf,
    locked: Mutex<LockedDirectory>,
}

impl StateDir {
    /// Creates the directory if there is none, checks it, and locks it.
    ///
    /// # Errors
    /// [`StateDirError`], if the directory is not on tmpfs or belongs to another user, the
    /// operating system refuses, or another agent does not release the lock in time.
    pub(crate) async fn open(path: &Path) -> Result<Self, StateDirError> {
        prepare(path)?;
        let locked = LockedDirectory::wait(path).await?;
        Ok(Self { path: path.to_owned(), locked: Mutex::new(locked) })
    }

    /// Checks that the directory is the one that was locked. If not, does what [`Self::open`] does
    /// but wait. Returns whether something was mended.
    ///
    /// # Errors
    /// [`StateDirError`], as of [`Self::open`].
    pub(crate) fn check(&self) -> Result<bool, StateDirError> {
        let is_private = fs::symlink_metadata(&self.path).is_ok_and(|file| file.mode() & 0o7777 == 0o700);
        let is_held = self.is_held();
        if is_private && is_held {
            return Ok(false);
        }
        prepare(&self.path)?;
        if !is_held {
            *self.locked() = LockedDirectory::take(&self.path)?;
        }
        Ok(true)
    }

    /// Returns whether the directory is the one that was locked, and the lock holds.
    pub(crate) fn is_held(&self) -> bool {
        self.locked().is_at(&self.path)
    }

    /// Returns whether no agent has locked the directory, or there is none. The test itself locks
    /// the directory for a moment.
    pub(crate) fn is_free(path: &Path) -> bool {
        locked::is_free(path)
    }

    /// Returns the path of a file in the directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns whether another agent has locked the directory, after the lock of this one was lost.
    pub(crate) fn is_taken(&self) -> bool {
        !self.is_held() && !Self::is_free(&self.path)
    }

    fn locked(&self) -> MutexGuard<'_, LockedDirectory> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
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
        let file = OpenOptions::new().read(true).custom_flags(OPEN_FLAGS.bits()).open(self.file(name))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.uid() != geteuid().as_raw() || metadata.len() > MAX_RECORD {
            return Err(Damage::Foreign);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        (&file).take(MAX_RECORD).read_to_end(&mut bytes)?;
        record_of(&Secret::new(bytes))
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
        let (mut names, mut journals) = (Vec::new(), Vec::new());
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".tmp") {
                // the process ended during this write
                if fs::remove_file(entry.path()).is_err() {
                    self.set_aside(&name, &Damage::Foreign);
                }
            } else if let Some(record) = name.strip_suffix(JOURNAL) {
                journals.push(record.to_owned());
            } else if is_record(&name) {
                names.push(name);
            } else if !name.contains('.') {
                self.set_aside(&name, &Damage::Foreign);
            }
        }
        // the process ended while it removed the record
        journals
            .iter()
            .filter(|record| !names.contains(record))
            .for_each(|record| self.remove_journal(record));
        names
    }

    fn contains(&self, name: &str) -> bool {
        // what cannot be told is no reason to store it again
        !fs::symlink_metadata(self.file(name)).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
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
            if !self.is_held() {
                // it may be on a disk
                return Err(io::Error::new(io::ErrorKind::NotFound, "the locked directory is gone"));
            }
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600).custom_flags(OPEN_FLAGS.bits());
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
        // a file takes the place of the one before; a directory needs a name of its own
        let names = (1..MAX_ASIDE).map(|n| format!("{name}.{n}.damaged"));
        let is_moved = [format!("{name}.damaged")]
            .into_iter()
            .chain(names)
            .any(|aside| fs::rename(self.file(name), self.file(&aside)).is_ok());
        self.remove_journal(name);
        tracing::warn!(
            file = %self.file(name).display(),
            "not a stored session: {reason}. Its pod logs in anew; the file {}",
            if is_moved { "is now called *.damaged" } else { "cannot be renamed" }
        );
    }
}

/// Returns the record in a file, after format and checksum were checked.
pub(crate) fn record_of(file: &Secret) -> Result<Secret, Damage> {
    let line = file.expose().iter().position(|b| *b == b'\n').ok_or(Damage::Foreign)?;
    let (header, record) = (&file.expose()[..line], &file.expose()[line + 1..]);
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

/// Why a file is not a record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Damage {
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
    format!("{record}{JOURNAL}")
}

/// Returns whether a file has the name of a record.
fn is_record(name: &str) -> bool {
    name.len() == NAME_LENGTH && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Returns the first line of a record's file.
pub(crate) fn header(record: &[u8]) -> String {
    format!("{FORMAT} {VERSION} {}\n", HEXLOWER.encode(digest::digest(&digest::SHA256, record).as_ref()))
}
