//! `cargo xtask image` and `binaries`: what is shipped.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cargo::{self, cargo, target_dir, workspace};
use crate::{openbao, packages, servers, step};

const BINARIES: [(&str, &str); 2] =
    [("coffer-daemonset", "coffer-csi"), ("coffer-api-server", "coffer-api-server")];

/// Static, and with relocations in their short form, which takes half a MB off.
const RUSTFLAGS: &str = "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs";

/// Where distributions keep the public certificate authorities: Debian's, Fedora's and Alpine's place.
const AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Builds the images into `target/image`, tells their sizes, and runs them.
pub(crate) fn run() -> Result<(), String> {
    packages::bring_container_tools()?;
    openbao::bring()?;
    servers::bring()?;
    let place = workspace().join("target/image");
    binaries(&place.join("out"))?;
    cargo::build("dev", &["coffer", "coffer-tests"])?;
    cargo::run_harness("debug", "coffer-image", &[place.as_os_str()])?;
    let mut test = cargo();
    test.args(["test", "--package", "coffer-tests", "--test", "install", "images::"])
        .env("COFFER_IMAGE_BINARIES", &place);
    step::run("running the images", &mut test)
}

/// Builds the binaries as images hold them, into that directory, and the certificate authorities beside them.
pub(crate) fn binaries(out: &Path) -> Result<(), String> {
    let target = host()?;
    let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
    let mut build = cargo();
    build
        .args(["build", "--locked", "--profile", "dist", "--target", &target])
        .args(BINARIES.iter().flat_map(|(package, _)| ["--package", package]))
        // The user's own would take the place of these.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env(variable, RUSTFLAGS);
    step::run("building static binaries (profile dist)", &mut build)?;

    let copy = |from: &Path, name: &str| {
        let copied = fs::copy(from, out.join(name));
        copied.map_err(|e| format!("cannot copy {} to {}: {e}", from.display(), out.display()))
    };
    fs::create_dir_all(out).map_err(|e| format!("cannot make {}: {e}", out.display()))?;
    for (_, binary) in BINARIES {
        copy(&target_dir().join(&target).join("dist").join(binary), binary)?;
    }
    let authorities = AUTHORITIES.iter().map(Path::new).find(|path| path.is_file());
    let authorities =
        authorities.ok_or("no public certificate authorities here (Debian: ca-certificates)")?;
    copy(authorities, "ca-certificates.crt")?;
    Ok(())
}

/// The target that this machine's Rust builds for.
fn host() -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output().map_err(|e| format!("cannot run rustc: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".to_owned())
}
