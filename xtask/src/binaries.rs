//! `cargo xtask binaries`: the programs as they are shipped, static and the same from each build,
//! with their dependencies and licences.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::architecture::Architecture;
use crate::cargo::{Binary, COFFER, COFFER_API_SERVER, COFFER_CSI, cargo, target_dir, workspace};
use crate::cargo_tools::{ABOUT, AUDITABLE, AUDITABLE_TO_CYCLONEDX};
use crate::{files, step};

/// The programs that are shipped.
const BINARIES: [Binary; 3] = [COFFER_CSI, COFFER_API_SERVER, COFFER];

/// Static, with relocations in their short form, which makes a binary half a MB smaller.
const RUSTFLAGS: [&str; 2] = ["-Ctarget-feature=+crt-static", "-Clink-arg=-Wl,-z,pack-relative-relocs"];

/// Files in which Debian, Fedora and Alpine have the public certificate authorities.
const AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Sources, and where cargo builds them.
pub(crate) struct Tree {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
}

impl Tree {
    /// Returns this workspace.
    pub(crate) fn workspace() -> Self {
        Self { source: workspace().to_owned(), target: target_dir() }
    }
}

/// Builds the programs for an architecture into the directory `out`. Beside them come the
/// certificate authorities, `licenses/`, and an SBOM of each program, `NAME.cdx.json`.
pub(crate) fn build(tree: &Tree, architecture: Architecture, out: &Path) -> Result<()> {
    compile(tree, architecture)?;
    let licenses = out.join("licenses");
    fs::create_dir_all(&licenses).with_context(|| format!("cannot make {}", out.display()))?;
    let built = tree.target.join(architecture.triple()).join("dist");
    for Binary { name, .. } in BINARIES {
        copy(&built.join(name), &out.join(name))?;
        set_mode(&out.join(name), 0o755)?;
        write_sbom(&out.join(name), &out.join(format!("{name}.cdx.json")))?;
    }
    copy(&tree.source.join("LICENSE"), &licenses.join("LICENSE"))?;
    write_notices(tree, &licenses.join("THIRD-PARTY-NOTICES.txt"))?;
    set_mode(&licenses, 0o755)?;
    let authorities = AUTHORITIES.iter().map(Path::new).find(|path| path.is_file());
    let authorities =
        authorities.context("no public certificate authorities here (Debian: ca-certificates)")?;
    copy(authorities, &out.join("ca-certificates.crt"))
}

fn compile(tree: &Tree, architecture: Architecture) -> Result<()> {
    let toolchain = architecture.toolchain()?;
    let variable = |what: &str| {
        let target = architecture.triple().to_uppercase().replace('-', "_");
        format!("CARGO_TARGET_{target}_{what}")
    };
    let mut build = Command::new(AUDITABLE.bring()?);
    build
        .current_dir(&tree.source)
        .env("CARGO_TARGET_DIR", &tree.target)
        .args(["auditable", "build", "--locked", "--profile", "dist", "--target", architecture.triple()])
        .args(BINARIES.iter().flat_map(|binary| ["--package", binary.package]))
        // The user's own flags would replace these.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env(variable("RUSTFLAGS"), rustflags(tree)?.join(" "));
    if let Some(rustc) = &toolchain.rustc {
        build.env("RUSTC", rustc);
    }
    if let Some(linker) = toolchain.linker {
        build.env(variable("LINKER"), linker);
    }
    step::run(&format!("building static binaries for {} (profile dist)", architecture.name()), &mut build)
}

/// Returns the compiler's flags. The paths of this machine do not get into the programs. Of two
/// that fit, rustc takes the last.
fn rustflags(tree: &Tree) -> Result<Vec<String>> {
    let remapped = [
        (cargo_home()?, "/cargo"),
        (tree.source.clone(), "/coffer"),
        (tree.target.clone(), "/coffer/target"),
    ];
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
    fs::write(file, output.stdout).with_context(|| format!("cannot write {}", file.display()))?;
    set_mode(file, 0o644)
}

fn write_notices(tree: &Tree, file: &Path) -> Result<()> {
    let mut fetch = cargo();
    step::run("fetching all dependencies", fetch.args(["fetch", "--locked"]).current_dir(&tree.source))?;
    let mut about = Command::new(ABOUT.bring()?);
    // Not from the network, whose answers change.
    about.current_dir(&tree.source).args(["about", "generate", "--frozen", "--fail", "--output-file"]);
    about.arg(file).arg("xtask/src/notices.hbs");
    step::run("collecting the licences", &mut about)?;
    set_mode(file, 0o644)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    files::copy_file(from, to)?;
    set_mode(to, 0o644)
}

/// Sets a file's mode, which is part of an image and would depend on the umask.
fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let set = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set.with_context(|| format!("cannot change {}", path.display()))
}
