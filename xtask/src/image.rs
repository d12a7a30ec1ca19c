//! `cargo xtask image` and `binaries`: what is shipped.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo::{
    self, Binary, COFFER, COFFER_API_SERVER, COFFER_CSI, cargo, harness, target_dir, workspace,
};
use crate::{openbao, packages, servers, step};

/// The binaries that are shipped in images.
const BINARIES: [Binary; 2] = [COFFER_CSI, COFFER_API_SERVER];

/// Static, with relocations in their short form, which makes a binary half a MB smaller.
const RUSTFLAGS: &str = "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs";

/// Files in which Debian, Fedora and Alpine have the public certificate authorities.
const AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Builds the images into `target/image`, prints their sizes, and runs their tests.
pub(crate) fn run() -> Result<()> {
    packages::bring_container_tools()?;
    openbao::bring()?;
    servers::bring(&servers::CLUSTER)?;
    let place = workspace().join("target/image");
    binaries(&place.join("out"))?;
    let image = harness("coffer-image");
    cargo::build("dev", &[COFFER, image])?;
    cargo::run_built(image, &[place.clone().into()])?;
    let mut test = cargo();
    test.args(["test", "--package", "coffer-tests", "--test", "install", "images::"])
        .env("COFFER_IMAGE_BINARIES", &place);
    step::run("running the images", &mut test)
}

/// Builds the binaries as images have them into the directory `out`, and copies the certificate
/// authorities there.
pub(crate) fn binaries(out: &Path) -> Result<()> {
    let target = host()?;
    let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
    let mut build = cargo();
    build
        .args(["build", "--locked", "--profile", "dist", "--target", &target])
        .args(BINARIES.iter().flat_map(|binary| ["--package", binary.package]))
        // The user's own flags would replace these.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env(variable, RUSTFLAGS);
    step::run("building static binaries (profile dist)", &mut build)?;

    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for Binary { name, .. } in BINARIES {
        copy(&target_dir().join(&target).join("dist").join(name), &out.join(name))?;
    }
    let authorities = AUTHORITIES.iter().map(Path::new).find(|path| path.is_file());
    let authorities =
        authorities.context("no public certificate authorities here (Debian: ca-certificates)")?;
    copy(authorities, &out.join("ca-certificates.crt"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = fs::copy(from, to);
    copied.with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Returns the target that this machine's Rust builds for.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}
