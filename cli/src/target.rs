//! The directory that a mount fills: with every file of an answer, or as it was.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use coffer_proto::v1alpha1::File;
use thiserror::Error;

/// Tells a directory that we wrote, and lists the files that we wrote to it.
const MARKER: &str = ".coffer-mount";

/// A directory that may be filled.
#[derive(Debug)]
pub(crate) struct Target {
    directory: PathBuf,
    parent: PathBuf,
    /// Whether an earlier mount is there to be replaced.
    mounted: bool,
}

/// Why a directory is not filled.
#[derive(Debug, Error)]
pub(crate) enum TargetError {
    /// It holds what is not ours to remove.
    #[error("the target {} is not ours to replace: it has {found:?}, which no earlier mount wrote", directory.display())]
    Foreign {
        /// The target.
        directory: PathBuf,
        /// The first such thing in it.
        found: PathBuf,
    },
    /// A file, or the root directory.
    #[error("the target {} is no directory that can be replaced", .0.display())]
    Irreplaceable(PathBuf),
    /// A provider's file is called as our marker.
    #[error("the file {MARKER:?} is this command's own")]
    Reserved,
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    System {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Target {
    /// Takes a directory that is absent, empty, or written by an earlier mount, and by nobody since.
    pub(crate) fn open(path: &Path) -> Result<Self, TargetError> {
        let directory = resolve(path)?;
        let parent = match directory.parent() {
            Some(parent) if directory.is_dir() || !directory.exists() => parent.to_owned(),
            _ => return Err(TargetError::Irreplaceable(directory)),
        };
        let ours = written(&directory)?;
        let found = files_in(&directory)?;
        if let Some(found) = found.iter().find(|file| !ours.contains(*file)) {
            return Err(TargetError::Foreign { directory, found: found.clone() });
        }
        Ok(Self { directory, parent, mounted: !found.is_empty() })
    }

    /// The directory's full path.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes all files beside the directory, then puts them in its place.
    pub(crate) fn write(&self, files: &[File]) -> Result<(), TargetError> {
        // The provider took its time: look again before anything is removed.
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
            // Nothing can be done about a second failure: the old files then go with the staging.
            let _ = fs::rename(&old, &directory);
            failed("write", &directory)(error)
        })
    }
}

/// The directory's path without links; it need not be there, but its parent must.
fn resolve(path: &Path) -> Result<PathBuf, TargetError> {
    match fs::canonicalize(path) {
        Ok(directory) => return Ok(directory),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed("find", path)(error)),
    }
    let Some(name) = path.file_name() else {
        return Err(TargetError::Irreplaceable(path.to_owned()));
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(fs::canonicalize(parent).map_err(failed("find", parent))?.join(name))
}

/// What an earlier mount wrote there, its marker with it.
fn written(directory: &Path) -> Result<BTreeSet<PathBuf>, TargetError> {
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

/// All that is in the directory but directories, by paths from there.
fn files_in(directory: &Path) -> Result<Vec<PathBuf>, TargetError> {
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

fn write_file(directory: &Path, file: &File) -> Result<(), TargetError> {
    if file.path == MARKER {
        return Err(TargetError::Reserved);
    }
    let path = directory.join(&file.path);
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    create(&path, &file.contents)?;
    // As in the driver, what is not a permission is dropped.
    let mode = file.mode.cast_unsigned() & 0o777;
    fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(failed("set the mode of", &path))
}

fn write_marker(directory: &Path, files: &[File]) -> Result<(), TargetError> {
    let path = directory.join(MARKER);
    let list: Vec<_> = files.iter().map(|file| &file.path).collect();
    let list = serde_json::to_vec(&list).map_err(|error| failed("write", &path)(error.into()))?;
    create(&path, &list)
}

fn create(path: &Path, contents: &[u8]) -> Result<(), TargetError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(contents)).map_err(failed("write", path))
}

fn make_directory(path: &Path) -> Result<(), TargetError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TargetError {
    let path = path.to_owned();
    move |source| TargetError::System { action, path, source }
}

#[cfg(test)]
mod tests;
