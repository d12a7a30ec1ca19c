//! Cargo, and what it builds.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step;

/// The workspace's root.
pub(crate) fn workspace() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    let dir = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    workspace().join(dir)
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// Builds the binaries of these packages.
pub(crate) fn build(profile: &str, packages: &[&str]) -> Result<(), String> {
    let mut command = cargo();
    command.args(["build", "--bins", "--profile", profile]);
    packages.iter().for_each(|package| {
        command.args(["--package", package]);
    });
    step::run(&format!("building {} (profile {profile})", packages.join(", ")), &mut command)
}

/// Runs a built binary of the harness, its output shown as it comes.
pub(crate) fn run_harness(folder: &str, binary: &str, arguments: &[&OsStr]) -> Result<(), String> {
    let path = target_dir().join(folder).join(binary);
    let status = Command::new(&path).args(arguments).current_dir(workspace()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{binary} failed: {status}")),
        Err(e) => Err(format!("cannot run {}: {e}", path.display())),
    }
}
