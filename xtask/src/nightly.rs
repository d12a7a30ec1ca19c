//! The nightly toolchain, which only fuzzing and Miri need.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::cargo::workspace;

/// Returns whether there is a nightly toolchain.
pub(crate) fn has_nightly() -> bool {
    let mut command = nightly(Path::new("rustc"));
    let status = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Returns a command that runs a program with the nightly toolchain.
pub(crate) fn nightly(program: &Path) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly"]).arg(program);
    // those of the toolchain that runs this program
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    command.current_dir(workspace());
    command
}
