//! The architectures that are released, and what compiles for each.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::packages;

/// An architecture of Linux.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Architecture {
    Amd64,
    Arm64,
}

/// What compiles for an architecture.
pub(crate) struct Toolchain {
    /// Another rustc than that of the PATH.
    pub(crate) rustc: Option<PathBuf>,
    /// Another linker than rustc's own choice.
    pub(crate) linker: Option<&'static str>,
}

/// Debian's rustc, whose standard library for another architecture is a package.
pub(crate) const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

impl Architecture {
    pub(crate) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// Returns the architecture of this machine.
    pub(crate) fn host() -> Result<Self> {
        let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let host = text.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("rustc -vV names no host")?;
        let found = Self::ALL.into_iter().find(|architecture| architecture.triple() == host);
        found.with_context(|| format!("this machine is none of those that are released: {host}"))
    }

    /// Returns the architecture of that name.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|architecture| architecture.name() == name);
        found.with_context(|| format!("{name:?} is no architecture: amd64 and arm64 are"))
    }

    /// Returns the name in image indexes: Go's.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Returns Rust's name of the target.
    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// Returns the C compiler that also links, where it is not this machine's own.
    pub(crate) fn cross_linker(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu-gcc",
            Self::Arm64 => "aarch64-linux-gnu-gcc",
        }
    }

    /// Returns what compiles for this architecture here: rustup's compiler where it has the target,
    /// else Debian's, which are installed as root.
    pub(crate) fn toolchain(self) -> Result<Toolchain> {
        if self == Self::host()? {
            return Ok(Toolchain { rustc: None, linker: None });
        }
        packages::bring_cross_linker(self)?;
        let linker = Some(self.cross_linker());
        if has_target("rustc", self) || rustup_adds(self) {
            return Ok(Toolchain { rustc: None, linker });
        }
        packages::bring_cross_rust(self)?;
        if has_target(DEBIAN_RUSTC, self) {
            return Ok(Toolchain { rustc: Some(DEBIAN_RUSTC.into()), linker });
        }
        bail!("no Rust for {} here: try `rustup target add {}`", self.name(), self.triple())
    }
}

/// Lets rustup download the standard library of an architecture. Returns whether it is there.
fn rustup_adds(architecture: Architecture) -> bool {
    let mut add = Command::new("rustup");
    // Not every machine has rustup, or may download.
    let added = add.args(["target", "add", architecture.triple()]).output();
    added.is_ok_and(|output| output.status.success()) && has_target("rustc", architecture)
}

/// Returns whether a compiler has the standard library of an architecture.
pub(crate) fn has_target(rustc: &str, architecture: Architecture) -> bool {
    let output =
        Command::new(rustc).args(["--print", "target-libdir", "--target", architecture.triple()]).output();
    output.is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success() && Path::new(&folder).is_dir()
    })
}
