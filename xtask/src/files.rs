//! Directories: emptied, copied and listed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Removes a directory, which need not be there.
pub(crate) fn empty(place: &Path) -> Result<()> {
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot empty {}", place.display()))
        }
        _ => Ok(()),
    }
}

/// Copies a file, and makes its directory.
pub(crate) fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let made = to.parent().map_or(Ok(()), fs::create_dir_all);
    let copied = made.and_then(|()| fs::copy(from, to));
    copied.with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Copies all files below a directory.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    names_below(from)?.iter().try_for_each(|name| copy_file(&from.join(name), &to.join(name)))
}

/// Returns the names of all files below a directory, as paths from there.
pub(crate) fn names_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(dir.join(&folder));
        for entry in entries.with_context(|| format!("cannot read {}", dir.join(&folder).display()))? {
            let entry = entry?;
            let name = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() { folders.push(name) } else { names.push(name) }
        }
    }
    Ok(names)
}
