//! A directory of the node that is mounted in another place, as in a container.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A directory on tmpfs, and where it is mounted until this is dropped.
#[derive(Debug)]
pub struct BoundDirectory(TempDir);

impl BoundDirectory {
    /// Makes the directory, and mounts it.
    ///
    /// # Panics
    /// If this process must not mount.
    pub fn mount() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").expect("a directory on tmpfs");
        let bound = Self(dir);
        fs::create_dir(bound.inside()).expect("a directory to mount at");
        bound.make_and_mount();
        bound
    }

    /// Makes the directory anew, and mounts it in the place of the one before, as a new container
    /// has it.
    ///
    /// # Panics
    /// If this process must not mount.
    pub fn mount_again(&self) {
        self.unmount();
        self.make_and_mount();
    }

    /// Returns the path of the directory on the node.
    pub fn on_node(&self) -> PathBuf {
        self.0.path().join("node")
    }

    /// Returns the path of the directory in the container.
    pub fn inside(&self) -> PathBuf {
        self.0.path().join("inside")
    }

    fn make_and_mount(&self) {
        fs::create_dir(self.on_node()).expect("a directory of the node");
        let mut mount = Command::new("mount");
        mount.arg("--bind").arg(self.on_node()).arg(self.inside());
        assert!(mount.status().expect("run mount").success(), "a directory is mounted");
    }

    fn unmount(&self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.inside()).status();
    }
}

impl Drop for BoundDirectory {
    fn drop(&mut self) {
        self.unmount();
    }
}
