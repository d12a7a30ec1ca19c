//! A time of day that can be stepped for one process, as an operator or NTP steps a node's. It takes libfaketime, which leaves
//! the monotonic clocks alone, as the kernel does.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::provider::CsiOptions;

/// The time of day of the processes that are started with it.
#[derive(Debug)]
pub struct FakeTime {
    library: PathBuf,
    dir: TempDir,
}

impl FakeTime {
    /// The right time, for now.
    ///
    /// # Panics
    /// When it is not installed (Debian's package `libfaketime`).
    pub fn new() -> Self {
        let library = find().expect("libfaketime: install Debian's package of that name");
        let fake = Self { library, dir: tempfile::tempdir().expect("a temporary directory") };
        fake.step("+0");
        fake
    }

    /// From now on the time of day differs so much from the right one: `+1h`, `-30m`.
    ///
    /// # Panics
    /// When it cannot be written down.
    pub fn step(&self, offset: &str) {
        let staged = self.dir.path().join("staged");
        fs::write(&staged, offset).expect("write the offset");
        fs::rename(staged, self.offset()).expect("put the offset in its place");
    }

    /// Has an agent started with it.
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

/// Debian keeps it in a folder of the machine's architecture.
fn find() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketime.so.1")).find(|path| path.exists())
}
