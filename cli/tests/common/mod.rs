//! What the tests of `coffer check` share.

use std::fs;
use std::process::Output;

use tempfile::{TempDir, tempdir};

/// Writes files with these names and texts into a new directory.
pub(crate) fn files(files: &[(&str, &str)]) -> TempDir {
    let dir = tempdir().expect("a directory");
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("a file");
    }
    dir
}

/// Returns what a command printed.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}
