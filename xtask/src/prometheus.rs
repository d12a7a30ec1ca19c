//! Prometheus and promtool: Debian's package, unpacked into `target/servers/prometheus`.
//!
//! The package is unpacked and not installed, since its installation starts a service.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::workspace;
use crate::step;

const PROGRAMS: [&str; 2] = ["prometheus", "promtool"];

/// Downloads and unpacks the package unless its programs are there or on the `PATH`. The harness
/// finds them by `tests/src/monitoring/prometheus.rs`.
pub(crate) fn bring() -> Result<()> {
    let place = workspace().join("target/servers/prometheus");
    let unpacked = PROGRAMS.iter().all(|program| place.join("usr/bin").join(program).is_file());
    if unpacked || PROGRAMS.iter().all(|program| is_on_path(program)) {
        return Ok(());
    }
    unpack(&place)
        .context("tests of the alerts need Prometheus: put the programs prometheus and promtool on the PATH")
}

fn unpack(place: &Path) -> Result<()> {
    let download = place.with_extension("download");
    fs::create_dir_all(&download)?;
    // The download fails where the list of packages is old or was never fetched.
    if get(&download).is_err() {
        step::run("updating the list of packages", Command::new("apt-get").args(["update", "-qq"]))?;
        get(&download)?;
    }
    let package = fs::read_dir(&download)?.flatten().map(|entry| entry.path()).next();
    let Some(package) = package else { bail!("apt-get downloaded nothing") };
    let mut unpack = Command::new("dpkg-deb");
    step::run("unpacking Prometheus", unpack.arg("--extract").arg(package).arg(place))?;
    fs::remove_dir_all(&download)?;
    Ok(())
}

fn get(download: &Path) -> Result<()> {
    let mut get = Command::new("apt-get");
    get.args(["download", "-qq", "prometheus"]).current_dir(download);
    step::run("downloading Debian's package prometheus (19 MB, once)", &mut get)
}

fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
