//! Runs cargo, and the programs that cargo builds.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step;

/// Returns the workspace's root.
pub(crate) fn workspace() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Returns the folder that cargo builds into.
pub(crate) fn target_dir() -> PathBuf {
    let dir = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    workspace().join(dir)
}

/// Returns a command for the cargo that runs this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// Builds the binaries of these packages.
pub(crate) fn build(profile: &str, packages: &[&str]) -> Result<()> {
    let mut command = cargo();
    command.args(["build", "--bins", "--profile", profile]);
    packages.iter().for_each(|package| {
        command.args(["--package", package]);
    });
    step::run(&format!("building {} (profile {profile})", packages.join(", ")), &mut command)
}

/// Runs a binary of the harness from that folder of the target directory. Its output is shown as
/// it comes.
pub(crate) fn run_harness(folder: &str, binary: &str, arguments: &[OsString]) -> Result<()> {
    let mut command = Command::new(target_dir().join(folder).join(binary));
    run(command.args(arguments))
}

/// Runs a command in the workspace's root. Its output is shown as it comes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let program = PathBuf::from(command.get_program());
    let status = command.current_dir(workspace()).status();
    let status = status.with_context(|| format!("cannot run {}", program.display()))?;
    if !status.success() {
        bail!("{} failed: {status}", program.file_name().unwrap_or_default().display());
    }
    Ok(())
}
