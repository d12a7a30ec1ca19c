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

/// A binary of the workspace.
#[derive(Clone, Copy)]
pub(crate) struct Binary {
    pub(crate) package: &'static str,
    pub(crate) name: &'static str,
}

pub(crate) const COFFER_CSI: Binary = Binary { package: "coffer-daemonset", name: "coffer-csi" };
pub(crate) const COFFER_API_SERVER: Binary =
    Binary { package: "coffer-api-server", name: "coffer-api-server" };
pub(crate) const COFFER: Binary = Binary { package: "coffer", name: "coffer" };

/// Returns a binary of the test harness.
pub(crate) const fn harness(name: &'static str) -> Binary {
    Binary { package: "coffer-tests", name }
}

/// Builds these binaries.
pub(crate) fn build(profile: &str, binaries: &[Binary]) -> Result<()> {
    let mut command = cargo();
    command.args(["build", "--profile", profile]);
    for binary in binaries {
        command.args(["--package", binary.package, "--bin", binary.name]);
    }
    let names: Vec<_> = binaries.iter().map(|binary| binary.name).collect();
    step::run(&format!("building {} (profile {profile})", names.join(", ")), &mut command)
}

/// Builds all binaries with the profile `dev`, as the tests use them: a part of them would be built
/// with other features of their dependencies, and so anew.
pub(crate) fn build_all() -> Result<()> {
    let mut command = cargo();
    command.args(["build", "--workspace", "--bins"]);
    step::run("building the binaries", &mut command)
}

/// Runs a binary that was built with the profile `dev`. Its output is shown as it comes.
pub(crate) fn run_built(binary: Binary, arguments: &[OsString]) -> Result<()> {
    let mut command = Command::new(target_dir().join("debug").join(binary.name));
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
