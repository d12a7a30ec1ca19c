//! A wall clock that a test can step for one process, as an operator or NTP steps a node's clock.
//! Uses libfaketime and leaves the monotonic clocks alone, as the kernel does.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::provider::CsiOptions;

/// The wall clock of the processes that are started with this value.
#[derive(Debug)]
pub struct FakeTime {
    library: PathBuf,
    dir: TempDir,
}

impl FakeTime {
    /// Starts at the real time.
    ///
    /// # Panics
    /// If libfaketime is not installed (Debian's package `libfaketime`).
    pub fn new() -> Self {
        let library = find().expect("libfaketime: install Debian's package of that name");
        let fake = Self { library, dir: tempfile::tempdir().expect("a temporary directory") };
        fake.step("+0");
        fake
    }

    /// Sets the offset to the real time: `+1h`, `-30m`.
    ///
    /// # Panics
    /// If the offset cannot be written.
    pub fn step(&self, offset: &str) {
        let staged = self.dir.path().join("staged");
        fs::write(&staged, offset).expect("write the offset");
        fs::rename(staged, self.offset()).expect("put the offset in its place");
    }

    /// Returns options that start an agent with this clock.
    #[must_use]
    pub fn options(&self, options: CsiOptions) -> CsiOptions {
        options
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", self.offset())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }

    fn offset(&self) -> PathBuf {
        self.dir.path().join("offset")
    }
}

impl Default for FakeTime {
    fn default() -> Self {
        Self::new()
    }
}

/// Debian installs libfaketime in a folder named after the machine's architecture.
fn find() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketime.so.1")).find(|path| path.exists())
}
