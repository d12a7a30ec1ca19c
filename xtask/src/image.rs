//! `cargo xtask image`: builds the images of each architecture and one index of them, and runs them.

use std::ffi::OsString;
use std::fs;

use anyhow::{Context, Result};

use crate::architecture::Architecture;
use crate::cargo::{self, COFFER, cargo, harness, workspace};
use crate::{binaries, openbao, packages, servers, step};

/// Builds the images into `target/image`, prints their sizes and digests, and runs their tests.
pub(crate) fn run(architectures: &[Architecture]) -> Result<()> {
    packages::bring_container_tools()?;
    openbao::bring()?;
    servers::bring(&servers::CLUSTER)?;
    let place = workspace().join("target/image");
    // what an earlier run left would become part of the index
    match fs::remove_dir_all(&place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot empty {}", place.display()));
        }
        _ => {}
    }
    for architecture in architectures {
        binaries::build(*architecture, &place.join(architecture.name()).join("out"))?;
    }
    if architectures.contains(&Architecture::Arm64) && Architecture::host()? != Architecture::Arm64 {
        packages::bring_emulator()?;
    }
    let image = harness("coffer-image");
    cargo::build("dev", &[COFFER, image])?;
    let names = architectures.iter().map(|architecture| OsString::from(architecture.name()));
    let arguments: Vec<OsString> = [place.clone().into()].into_iter().chain(names).collect();
    cargo::run_built(image, &arguments)?;
    let mut test = cargo();
    test.args(["test", "--package", "coffer-tests", "--test", "install", "images"])
        .env("COFFER_IMAGE_BINARIES", &place);
    step::run("running the images", &mut test)
}
