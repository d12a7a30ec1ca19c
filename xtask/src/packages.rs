//! Programs that come from the system's packages. As root on Debian they are installed; elsewhere
//! the error names the packages that are missing.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::architecture::{self, Architecture};
use crate::step;

/// Installs what builds images (buildah) and what runs them (runc, which containerd uses too).
pub(crate) fn bring_container_tools() -> Result<()> {
    const TOOLS: [&str; 2] = ["buildah", "runc"];
    let missing: Vec<_> = TOOLS.into_iter().filter(|tool| !runs(tool, "--version")).collect();
    install("images need", &missing)
}

/// Installs the C compiler and the C library for another architecture, which link its programs.
pub(crate) fn bring_cross_linker(architecture: Architecture) -> Result<()> {
    let packages = match architecture {
        Architecture::Amd64 => ["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"],
        Architecture::Arm64 => ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
    };
    // The compiler prints the path of the library, or nothing but its name.
    let found = Command::new(architecture.cross_linker()).arg("-print-file-name=libc.a").output();
    let is_there = found.is_ok_and(|output| output.stdout.starts_with(b"/"));
    install("programs of another architecture need", if is_there { &[] } else { &packages })
}

/// Installs Debian's newest Rust with the standard library of another architecture, for machines
/// where rustup may not download one.
pub(crate) fn bring_cross_rust(architecture: Architecture) -> Result<()> {
    if architecture::has_target(architecture::DEBIAN_RUSTC, architecture) {
        return Ok(());
    }
    if is_root() && runs("dpkg", "--version") {
        let mut add = Command::new("dpkg");
        add.args(["--add-architecture", architecture.name()]);
        step::run(&format!("letting dpkg install packages of {}", architecture.name()), &mut add)?;
    }
    let library = format!("libstd-rust-web-dev:{}", architecture.name());
    install("programs of another architecture need", &["rustc-web", &library])
}

/// Installs what runs programs of another architecture: qemu.
pub(crate) fn bring_emulator() -> Result<()> {
    let is_there = runs("qemu-aarch64-static", "--version");
    install("images of arm64 need", if is_there { &[] } else { &["qemu-user-static"] })
}

/// Installs PostgreSQL, in which Vault creates users.
pub(crate) fn bring_postgres() -> Result<()> {
    // Debian has the server outside the PATH, in a folder named by the version.
    let is_there = has("/usr/lib/postgresql", "bin/initdb");
    install("leases need", if is_there { &[] } else { &["postgresql"] })
}

/// Installs libfaketime, which shows a process another time of day.
pub(crate) fn bring_fake_time() -> Result<()> {
    // The folder is named by the machine's architecture.
    let is_there = has("/usr/lib", "faketime/libfaketime.so.1");
    install("tests of a clock that steps need", if is_there { &[] } else { &["libfaketime"] })
}

/// Installs the programs that read the formats of files: a JDK, OpenSSL, nginx, and a program of
/// systemd's for files of variables.
pub(crate) fn bring_readers() -> Result<()> {
    let generator = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator";
    let programs = [
        ("default-jdk-headless", runs("javac", "--version")),
        ("openssl", runs("openssl", "version")),
        ("nginx", runs("nginx", "-v")),
        ("systemd", Path::new(generator).is_file()),
    ];
    let missing: Vec<_> = programs.iter().filter(|(_, is_there)| !is_there).map(|(name, _)| *name).collect();
    install("tests of the formats need", &missing)
}

/// Returns whether one of the folders in `folder` has that file.
fn has(folder: &str, file: &str) -> bool {
    let folders = fs::read_dir(folder).into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join(file)).any(|path| path.is_file())
}

fn install(why: &str, missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" and ");
    if !is_root() || !runs("apt-get", "--version") {
        bail!("{why} {names}: install the packages of these names");
    }
    let mut update = Command::new("apt-get");
    step::run("updating the list of packages", update.args(["update", "-qq"]))?;
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(missing);
    step::run(&format!("installing {names}"), install.env("DEBIAN_FRONTEND", "noninteractive"))
}

fn runs(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    let status = command.arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
