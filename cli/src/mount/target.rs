//! The directory that a mount fills: either with every file of an answer, or not at all.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use coffer_proto::v1alpha1::File;
use thiserror::Error;

/// Name of a file that marks a directory as filled by a mount and lists the files of that mount.
const MARKER: &str = ".coffer-mount";

/// A directory that may be filled.
#[derive(Debug)]
pub(crate) struct TargetDirectory {
    directory: PathBuf,
    parent: PathBuf,
    /// Whether the directory has files of an earlier mount, which are replaced.
    mounted: bool,
}

/// Why a directory cannot be filled.
#[derive(Debug, Error)]
pub(crate) enum TargetDirectoryError {
    /// The directory has a file that no mount wrote.
    #[error("the target {} is not ours to replace: it has {found:?}, which no earlier mount wrote", directory.display())]
    Foreign {
        /// The directory.
        directory: PathBuf,
        /// The first such file, relative to the directory.
        found: PathBuf,
    },
    /// The path is a file, or the root directory.
    #[error("the target {} is no directory that can be replaced", .0.display())]
    Irreplaceable(PathBuf),
    /// A file of the provider has the name of the marker.
    #[error("the file {MARKER:?} is this command's own")]
    Reserved,
    /// The system refused an operation.
    #[error("cannot {action} {}: {source}", path.display())]
    System {
        /// The operation, in words.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl TargetDirectory {
    /// Accepts a directory that is absent, empty, or has only files of an earlier mount.
    pub(crate) fn open(path: &Path) -> Result<Self, TargetDirectoryError> {
        let directory = resolve(path)?;
        let parent = match directory.parent() {
            Some(parent) if directory.is_dir() || !directory.exists() => parent.to_owned(),
            _ => return Err(TargetDirectoryError::Irreplaceable(directory)),
        };
        let ours = written(&directory)?;
        let found = files_in(&directory)?;
        if let Some(found) = found.iter().find(|file| !ours.contains(*file)) {
            return Err(TargetDirectoryError::Foreign { directory, found: found.clone() });
        }
        Ok(Self { directory, parent, mounted: !found.is_empty() })
    }

    /// Returns the directory's absolute path, without symbolic links.
    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    /// Returns whether an earlier mount filled the directory.
    pub(crate) fn is_mounted(&self) -> bool {
        self.mounted
    }

    /// Writes all files to a new directory beside this one, which then takes this one's place.
    pub(crate) fn write(&self, files: &[File]) -> Result<(), TargetDirectoryError> {
        // time passed while the provider was asked: look again before anything is removed
        let Self { directory, parent, mounted } = Self::open(&self.directory)?;
        let staging = tempfile::Builder::new()
            .prefix(".coffer-")
            .tempdir_in(&parent)
            .map_err(failed("make a directory in", &parent))?;
        let (new, old) = (staging.path().join("new"), staging.path().join("old"));
        make_directory(&new)?;
        for file in files {
            write_file(&new, file)?;
        }
        write_marker(&new, files)?;
        if mounted {
            fs::rename(&directory, &old).map_err(failed("replace", &directory))?;
        }
        fs::rename(&new, &directory).map_err(|error| {
            // nothing can be done about a second failure: the old files are then removed with
            // `staging`
            let _ = fs::rename(&old, &directory);
            failed("write", &directory)(error)
        })
    }
}

/// Returns a directory's absolute path without symbolic links. The directory may be absent, its
/// parent may not.
fn resolve(path: &Path) -> Result<PathBuf, TargetDirectoryError> {
    match fs::canonicalize(path) {
        Ok(directory) => return Ok(directory),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed("find", path)(error)),
    }
    let Some(name) = path.file_name() else {
        return Err(TargetDirectoryError::Irreplaceable(path.to_owned()));
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(fs::canonicalize(parent).map_err(failed("find", parent))?.join(name))
}

/// Returns the files that an earlier mount wrote to a directory, with the marker.
fn written(directory: &Path) -> Result<BTreeSet<PathBuf>, TargetDirectoryError> {
    let marker = directory.join(MARKER);
    let list = match fs::read(&marker) {
        Ok(list) => list,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(failed("read", &marker)(error)),
    };
    let mut files: BTreeSet<PathBuf> =
        serde_json::from_slice(&list).map_err(|error| failed("read", &marker)(error.into()))?;
    files.insert(MARKER.into());
    Ok(files)
}

/// Returns every file in a directory and in the directories below, as relative paths.
fn files_in(directory: &Path) -> Result<Vec<PathBuf>, TargetDirectoryError> {
    let mut files = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(inside) = open.pop() {
        let path = directory.join(&inside);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries.map_err(failed("read", &path))?,
        };
        for entry in entries {
            let entry = entry.map_err(failed("read", &path))?;
            let is_directory = entry.file_type().map_err(failed("read", &path))?.is_dir();
            if is_directory { &mut open } else { &mut files }.push(inside.join(entry.file_name()));
        }
    }
    Ok(files)
}

fn write_file(directory: &Path, file: &File) -> Result<(), TargetDirectoryError> {
    if file.path == MARKER {
        return Err(TargetDirectoryError::Reserved);
    }
    let path = directory.join(&file.path);
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    create(&path, &file.contents)?;
    // as in the driver, bits that are not permissions are dropped
    let mode = file.mode.cast_unsigned() & 0o777;
    fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(failed("set the mode of", &path))
}

fn write_marker(directory: &Path, files: &[File]) -> Result<(), TargetDirectoryError> {
    let path = directory.join(MARKER);
    let list: Vec<_> = files.iter().map(|file| &file.path).collect();
    let list = serde_json::to_vec(&list).map_err(|error| failed("write", &path)(error.into()))?;
    create(&path, &list)
}

fn create(path: &Path, contents: &[u8]) -> Result<(), TargetDirectoryError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(contents)).map_err(failed("write", path))
}

fn make_directory(path: &Path) -> Result<(), TargetDirectoryError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TargetDirectoryError {
    let path = path.to_owned();
    move |source| TargetDirectoryError::System { action, path, source }
}

#[cfg(test)]
mod tests;
