//! Directories of certificate authorities, as Vault's client in Go reads them
//! (<https://github.com/hashicorp/go-rootcerts>): all files, and those of the directories in it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tls_file::FileProblem;

/// Maximum number of files in a directory of authorities. A system's own directory has about 150.
pub(crate) const MAX_FILES: usize = 1000;

/// Maximum number of directories below each other.
const MAX_DEPTH: usize = 8;

/// Returns the files of a directory in the order of their names; the path itself, if it is a file.
/// Links to files count as files. The directories that kubelet makes for a mounted volume
/// (`..data`, `..2026_01_02…`) are left out: links in the volume lead to what is in them.
///
/// # Errors
/// A link that leads nowhere or to a directory, a directory that cannot be read, or too many files.
pub(crate) fn files_in(path: &Path) -> Result<Vec<PathBuf>, FileProblem> {
    if fs::metadata(path)?.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    collect(path, MAX_DEPTH, &mut files)?;
    files.sort();
    Ok(files)
}

fn collect(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), FileProblem> {
    let depth = depth.checked_sub(1).ok_or(FileProblem::TooDeep)?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if entry.file_name().as_encoded_bytes().starts_with(b"..") {
            continue;
        }
        if kind.is_dir() {
            collect(&path, depth, files)?;
            continue;
        }
        if kind.is_symlink() {
            match fs::metadata(&path) {
                Ok(target) if target.is_dir() => return Err(FileProblem::LinkToDirectory(path)),
                Ok(_) => {}
                Err(source) => return Err(FileProblem::BrokenLink { path, source }),
            }
        }
        files.push(path);
        if files.len() > MAX_FILES {
            return Err(FileProblem::TooManyFiles);
        }
    }
    Ok(())
}
