//! `cargo xtask soak`: builds what the soak runs and what judges it, and runs it.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use anyhow::{Result, bail};

use crate::cargo::{self, COFFER_CSI, target_dir};
use crate::leftovers::RunFolder;
use crate::servers::{self, Server};
use crate::{openbao, packages};

/// Runs a soak. `--release` is for this program, everything else for the harness.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let profile = if arguments.iter().any(|argument| argument == "--release") { "dist" } else { "dev" };
    let arguments = arguments.iter().filter(|argument| *argument != "--release");
    openbao::bring()?;
    packages::bring_postgres()?;
    packages::bring_fake_time()?;
    servers::bring(&[&servers::CLUSTER[..], &[Server::Driver16]].concat())?;
    if profile == "dist" {
        cargo::build(profile, &[COFFER_CSI])?;
    }
    cargo::build_all()?;

    let folder = RunFolder::new("soak")?;
    let mut command = Command::new(target_dir().join("debug/coffer-soak"));
    command
        .args(arguments.map(OsString::from))
        // The report's directory is meant from where the user is.
        .current_dir(env::current_dir()?)
        .env("TMPDIR", folder.path())
        .env("COFFER_BIN_DIR", target_dir().join(if profile == "dist" { "dist" } else { "debug" }));
    let status = command.status();
    let ended = folder.end();
    let success = status?.success();
    ended?;
    if !success {
        bail!("the soak failed");
    }
    Ok(())
}
