//! Packages from PyPI.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::step;

/// Makes a virtual environment at `dir` with that one package in it.
pub(crate) fn install(dir: &Path, package: &str) -> Result<()> {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(dir);
    step::run("making a Python environment (Debian: python3-venv)", &mut venv)?;
    let mut pip = Command::new(dir.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]);
    step::run(&format!("downloading {package} from PyPI"), &mut pip)
}

/// Returns the folder of an installed package.
pub(crate) fn package_dir(environment: &Path, package: &str) -> Option<PathBuf> {
    let pythons = fs::read_dir(environment.join("lib")).ok()?;
    let mut folders = pythons.flatten().map(|python| python.path().join("site-packages").join(package));
    folders.find(|folder| folder.is_dir())
}
