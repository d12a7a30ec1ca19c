//! Builds what is shipped a second time, in another directory and without what the first build
//! left, and compares: `cargo xtask image --twice`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::architecture::Architecture;
use crate::binaries::{self, Tree};
use crate::cargo::workspace;
use crate::files;

/// Builds everything again, and compares each file with that of the first build in `first`. Returns
/// the directory of the second build, which has the same layout.
pub(crate) fn build(architectures: &[Architecture], first: &Path) -> Result<PathBuf> {
    let place = workspace().join("target/second-build");
    files::empty(&place)?;
    // Of another depth than the workspace, and with another name.
    let source = place.join("another/directory");
    copy_sources(&source)?;
    let tree = Tree { target: source.join("target"), source };
    let second = place.join("image");
    for architecture in architectures {
        let out = Path::new(architecture.name()).join("out");
        binaries::build(&tree, *architecture, &second.join(&out))?;
        let differing = differing(&first.join(&out), &second.join(&out))?;
        if !differing.is_empty() {
            bail!(
                "two builds differ in {}, see {} and {}",
                differing.join(", "),
                first.display(),
                second.display()
            );
        }
        eprintln!("  two builds for {} are the same, byte for byte", architecture.name());
    }
    // Only this is as large as the workspace's own.
    files::empty(&tree.target)?;
    Ok(second)
}

/// Copies the files that Git knows or would add, as they are now.
fn copy_sources(to: &Path) -> Result<()> {
    let mut list = Command::new("git");
    list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(workspace());
    let output = list.output().context("cannot run git")?;
    if !output.status.success() {
        bail!("cannot list the sources: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let names = String::from_utf8(output.stdout).context("a name of a file is not UTF-8")?;
    for name in names.split_terminator('\0') {
        let (from, to) = (workspace().join(name), to.join(name));
        if from.is_file() {
            files::copy_file(&from, &to)?;
        }
    }
    Ok(())
}

/// Returns the names of files that are not in both directories with the same bytes and mode.
fn differing(one: &Path, other: &Path) -> Result<Vec<String>> {
    let mut differing = Vec::new();
    let mut names = files::names_below(one)?;
    names.extend(files::names_below(other)?);
    names.sort();
    names.dedup();
    for name in names {
        let read = |dir: &Path| {
            let file = dir.join(&name);
            fs::metadata(&file).and_then(|about| Ok((about.permissions(), fs::read(&file)?))).ok()
        };
        if read(one).is_none() || read(one) != read(other) {
            differing.push(name.display().to_string());
        }
    }
    Ok(differing)
}
