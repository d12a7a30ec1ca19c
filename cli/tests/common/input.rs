//! Commands that read standard input.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs a command in a directory with this input, and without an environment.
pub(crate) fn run_with_input(command: &mut Command, dir: &Path, input: &str) -> Output {
    let command = command.current_dir(dir).env_clear();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    // a command that reads no input may have ended already
    let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
    child.wait_with_output().expect("the command ends")
}
