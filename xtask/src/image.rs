//! `cargo xtask image`: builds the images of each architecture and one index of them, and runs
//! them.

use std::ffi::OsString;

use anyhow::Result;

use crate::architecture::Architecture;
use crate::binaries::{self, Tree};
use crate::cargo::{self, COFFER, cargo, harness, workspace};
use crate::{files, openbao, packages, second_build, servers, step};

/// What was asked for on the command line.
pub(crate) struct ImageOptions {
    architectures: Vec<Architecture>,
    /// Builds everything a second time, in another directory, and compares.
    twice: bool,
}

impl ImageOptions {
    /// Reads `[--twice] [ARCH]...`: all architectures if none is named.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let (flags, names): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| *argument == "--twice");
        let named: Result<Vec<_>> = names.into_iter().map(|name| Architecture::named(name)).collect();
        let named = named?;
        let architectures = if named.is_empty() { Architecture::ALL.to_vec() } else { named };
        Ok(Self { architectures, twice: !flags.is_empty() })
    }
}

/// Builds the images into `target/image`, prints their sizes and digests, and runs their tests.
pub(crate) fn run(options: &ImageOptions) -> Result<()> {
    packages::bring_container_tools()?;
    openbao::bring()?;
    servers::bring(&servers::CLUSTER)?;
    let place = workspace().join("target/image");
    // What an earlier run left would become part of the index.
    files::empty(&place)?;
    for architecture in &options.architectures {
        binaries::build(&Tree::workspace(), *architecture, &place.join(architecture.name()).join("out"))?;
    }
    let mut arguments: Vec<OsString> = vec![place.clone().into()];
    arguments.extend(options.architectures.iter().map(|architecture| architecture.name().into()));
    if options.twice {
        let second = second_build::build(&options.architectures, &place)?;
        arguments.extend(["--same-as".into(), second.into()]);
    }
    if options.architectures.contains(&Architecture::Arm64) && Architecture::host()? != Architecture::Arm64 {
        packages::bring_emulator()?;
    }
    let image = harness("coffer-image");
    cargo::build("dev", &[COFFER, image])?;
    cargo::run_built(image, &arguments)?;
    let mut test = cargo();
    // Of these names one is a test of an installation, which needs more servers.
    test.args(["test", "--package", "coffer-tests", "--test", "install", "--", "images"])
        .args(["--skip", "installation::"])
        .env("COFFER_IMAGE_BINARIES", &place);
    step::run("running the images", &mut test)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_parsed_and_anything_else_is_refused() {
        let parse = |line: &str| {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            let options = ImageOptions::parse(&words).ok()?;
            let names: Vec<_> = options.architectures.iter().map(|one| one.name()).collect();
            Some(format!("{} {}", names.join(","), options.twice))
        };
        assert_eq!(parse("").as_deref(), Some("amd64,arm64 false"));
        assert_eq!(parse("--twice").as_deref(), Some("amd64,arm64 true"));
        assert_eq!(parse("arm64 --twice").as_deref(), Some("arm64 true"));
        for wrong in ["riscv64", "--thrice", "x86_64"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
