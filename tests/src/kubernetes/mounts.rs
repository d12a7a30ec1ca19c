//! Real mounts, and a directory that unmounts everything below it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

/// Returns why this machine allows no mounts, if so: the driver mounts a tmpfs for every volume.
pub fn mounts_forbidden() -> Option<&'static str> {
    static ANSWER: OnceLock<Option<String>> = OnceLock::new();
    ANSWER.get_or_init(try_mounting).as_deref()
}

fn try_mounting() -> Option<String> {
    let place = MountDir::new();
    let tried = mount(Some("tmpfs"), place.path(), Some("tmpfs"), MsFlags::empty(), None::<&str>);
    tried.err().map(|e| format!("needs real mounts, so run it as root where mounting is allowed: {e}"))
}

/// A temporary directory below which a driver mounts. Dropping the value unmounts whatever is still
/// mounted there.
#[derive(Debug)]
pub(crate) struct MountDir(TempDir);

impl MountDir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for MountDir {
    fn drop(&mut self) {
        for target in mounts_below(self.path()) {
            // Detached: a process that is just ending may still have a file open there.
            if let Err(e) = umount2(&target, MntFlags::MNT_DETACH) {
                eprintln!("{} stays mounted: {e}", target.display());
            }
        }
    }
}

/// Returns the mount points at or below a directory, the innermost first.
fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    let mounts = fs::read("/proc/self/mounts").unwrap_or_default();
    let lines = mounts.split(|byte| *byte == b'\n');
    let targets = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(1));
    // Names of temporary directories contain no character that the kernel escapes.
    let targets = targets.map(|target| PathBuf::from(std::ffi::OsStr::from_bytes(target)));
    let mut below: Vec<_> = targets.filter(|target| target.starts_with(dir)).collect();
    below.reverse();
    below
}
