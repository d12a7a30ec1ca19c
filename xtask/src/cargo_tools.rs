//! Cargo's subcommands that describe what is shipped, and that fuzzes. Each is installed once below
//! `target/`.

use std::path::PathBuf;

use anyhow::Result;

use crate::cargo::{cargo, target_dir};
use crate::step;

/// A subcommand of cargo, in a version that is pinned.
pub(crate) struct CargoTool {
    name: &'static str,
    version: &'static str,
    features: &'static str,
}

/// Writes the list of dependencies into a binary, where scanners look for it.
pub(crate) const AUDITABLE: CargoTool = CargoTool { name: "cargo-auditable", version: "0.7.7", features: "" };

/// Makes an SBOM in CycloneDX's form of that list.
pub(crate) const AUDITABLE_TO_CYCLONEDX: CargoTool =
    CargoTool { name: "auditable2cdx", version: "0.1.0", features: "" };

/// Collects the licences of dependencies.
pub(crate) const ABOUT: CargoTool = CargoTool { name: "cargo-about", version: "0.9.3", features: "cli" };

/// Builds fuzz targets.
pub(crate) const FUZZ: CargoTool = CargoTool { name: "cargo-fuzz", version: "0.13.1", features: "" };

impl CargoTool {
    /// Returns the program, which is built from source the first time.
    pub(crate) fn bring(&self) -> Result<PathBuf> {
        let home = target_dir().join("cargo-tools").join(format!("{}-{}", self.name, self.version));
        let program = home.join("bin").join(self.name);
        if !program.is_file() {
            let mut install = cargo();
            install
                .args(["install", "--quiet", "--locked", "--no-track", "--version", self.version])
                .args(["--features", self.features, "--root"])
                .args([&home])
                .arg(self.name)
                // Most of their dependencies are the same.
                .env("CARGO_TARGET_DIR", target_dir().join("cargo-tools/build"));
            step::run(&format!("installing {} {} (once)", self.name, self.version), &mut install)?;
        }
        Ok(program)
    }
}
