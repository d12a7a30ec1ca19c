//! A small file system, which a test can fill.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A tmpfs of some KiB, mounted until this is dropped.
#[derive(Debug)]
pub struct SmallFileSystem(TempDir);

impl SmallFileSystem {
    /// Mounts a tmpfs of that size, which only its owner may enter.
    ///
    /// # Panics
    /// If this process must not mount.
    pub fn mount(kib: u32) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").expect("a directory on tmpfs");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={kib}k,mode=0700"), "tmpfs"]).arg(dir.path());
        assert!(mount.status().expect("run mount").success(), "a tmpfs is mounted");
        Self(dir)
    }

    /// Mounts it anew with that option: `ro` or `rw`.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn remount(&self, option: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{option}")]).arg(self.path());
        assert!(mount.status().expect("run mount").success(), "the tmpfs is mounted anew");
    }

    /// Returns the mount point.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file until no space is left.
    ///
    /// # Panics
    /// If there is such a file that cannot be replaced.
    pub fn fill(&self) {
        let mut file = fs::File::create(self.filler()).expect("a file");
        while file.write_all(&[0; 1024]).is_ok() {}
    }

    /// Removes the file that [`Self::fill`] wrote.
    ///
    /// # Panics
    /// If there is none.
    pub fn free(&self) {
        fs::remove_file(self.filler()).expect("the file is removed");
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler.tmp")
    }
}

impl Drop for SmallFileSystem {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
