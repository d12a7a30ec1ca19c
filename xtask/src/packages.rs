//! Programs that come from the system's packages.

use std::fs;
use std::process::{Command, Stdio};

use crate::step;

/// Makes sure that images can be built (buildah) and run (runc, which containerd runs too).
pub(crate) fn bring_container_tools() -> Result<(), String> {
    const TOOLS: [&str; 2] = ["buildah", "runc"];
    let missing: Vec<_> = TOOLS.into_iter().filter(|tool| !runs(tool, "--version")).collect();
    install("images need", &missing)
}

/// Makes sure that there is a PostgreSQL, in which Vault makes users.
pub(crate) fn bring_postgres() -> Result<(), String> {
    // Debian keeps the server out of the PATH, in a folder of its version
    let is_there = has("/usr/lib/postgresql", "bin/initdb");
    install("leases need", if is_there { &[] } else { &["postgresql"] })
}

/// Makes sure that a process can be shown another time of day.
pub(crate) fn bring_fake_time() -> Result<(), String> {
    // in a folder of the machine's architecture
    let is_there = has("/usr/lib", "faketime/libfaketime.so.1");
    install("tests of a clock that steps need", if is_there { &[] } else { &["libfaketime"] })
}

/// Whether one of a folder's folders has a file.
fn has(folder: &str, file: &str) -> bool {
    let folders = fs::read_dir(folder).into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join(file)).any(|path| path.is_file())
}

fn install(why: &str, missing: &[&str]) -> Result<(), String> {
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" and ");
    if !is_root() || !runs("apt-get", "--version") {
        return Err(format!("{why} {names}: install the packages of these names"));
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
