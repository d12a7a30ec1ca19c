//! `cargo xtask binaries`: the programs as they are shipped, static and the same from each build,
//! with their dependencies and licences.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::architecture::Architecture;
use crate::cargo::{Binary, COFFER, COFFER_API_SERVER, COFFER_CSI, target_dir, workspace};
use crate::release_tools::{ABOUT, AUDITABLE, AUDITABLE_TO_CYCLONEDX};
use crate::step;

/// The programs that are shipped.
const BINARIES: [Binary; 3] = [COFFER_CSI, COFFER_API_SERVER, COFFER];

/// Static, with relocations in their short form, which makes a binary half a MB smaller.
const RUSTFLAGS: [&str; 2] = ["-Ctarget-feature=+crt-static", "-Clink-arg=-Wl,-z,pack-relative-relocs"];

/// Files in which Debian, Fedora and Alpine have the public certificate authorities.
const AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Builds the programs for an architecture into the directory `out`. Beside them come the
/// certificate authorities, `licenses/`, and an SBOM of each program, `NAME.cdx.json`.
pub(crate) fn build(architecture: Architecture, out: &Path) -> Result<()> {
    compile(architecture)?;
    fs::create_dir_all(out.join("licenses")).with_context(|| format!("cannot make {}", out.display()))?;
    let built = target_dir().join(architecture.triple()).join("dist");
    for Binary { name, .. } in BINARIES {
        copy(&built.join(name), &out.join(name))?;
        write_sbom(&out.join(name), &out.join(format!("{name}.cdx.json")))?;
    }
    copy(&workspace().join("LICENSE"), &out.join("licenses/LICENSE"))?;
    write_notices(&out.join("licenses/THIRD-PARTY-NOTICES.txt"))?;
    let authorities = AUTHORITIES.iter().map(Path::new).find(|path| path.is_file());
    let authorities =
        authorities.context("no public certificate authorities here (Debian: ca-certificates)")?;
    copy(authorities, &out.join("ca-certificates.crt"))
}

fn compile(architecture: Architecture) -> Result<()> {
    let toolchain = architecture.toolchain()?;
    let variable = |what: &str| {
        let target = architecture.triple().to_uppercase().replace('-', "_");
        format!("CARGO_TARGET_{target}_{what}")
    };
    let mut build = Command::new(AUDITABLE.bring()?);
    build
        .current_dir(workspace())
        .args(["auditable", "build", "--locked", "--profile", "dist", "--target", architecture.triple()])
        .args(BINARIES.iter().flat_map(|binary| ["--package", binary.package]))
        // The user's own flags would replace these.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env(variable("RUSTFLAGS"), rustflags()?.join(" "));
    if let Some(rustc) = &toolchain.rustc {
        build.env("RUSTC", rustc);
    }
    if let Some(linker) = toolchain.linker {
        build.env(variable("LINKER"), linker);
    }
    step::run(&format!("building static binaries for {} (profile dist)", architecture.name()), &mut build)
}

/// Returns the compiler's flags. The paths of this machine do not get into the programs.
fn rustflags() -> Result<Vec<String>> {
    let remapped = [(workspace().to_owned(), "/coffer"), (cargo_home()?, "/cargo")];
    let remap = |(from, to): (PathBuf, &str)| match from.to_str() {
        Some(from) if !from.contains(char::is_whitespace) => Ok(format!("--remap-path-prefix={from}={to}")),
        _ => bail!("the path {} has a space, which no flag of the compiler can have", from.display()),
    };
    RUSTFLAGS.into_iter().map(|flag| Ok(flag.to_owned())).chain(remapped.into_iter().map(remap)).collect()
}

fn cargo_home() -> Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    home.context("neither CARGO_HOME nor HOME is set")
}

/// Writes what a program was built from: its own list of dependencies, as an SBOM.
fn write_sbom(program: &Path, file: &Path) -> Result<()> {
    let output = Command::new(AUDITABLE_TO_CYCLONEDX.bring()?).arg(program).output()?;
    if !output.status.success() {
        bail!("no SBOM of {}: {}", program.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    fs::write(file, output.stdout).with_context(|| format!("cannot write {}", file.display()))
}

fn write_notices(file: &Path) -> Result<()> {
    let mut about = Command::new(ABOUT.bring()?);
    about.current_dir(workspace()).args(["about", "generate", "--locked", "--fail", "--output-file"]);
    about.arg(file).arg("xtask/src/notices.hbs");
    step::run("collecting the licences", &mut about)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = fs::copy(from, to);
    copied.with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
