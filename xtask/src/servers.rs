//! The servers and tools that are written in Go: built from the modules in `tests/servers/` into
//! `target/servers/`, each once.

mod modules;

use std::env;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::workspace;
use crate::step;

use self::modules::{GoModule, GoProgram, MODULES, VersionPart};

pub(crate) use self::modules::{CLUSTER, Server, TESTS};

/// Builds those of these programs that are not there yet. The harness finds a program in
/// `target/servers/FOLDER` (`tests/src/kubernetes/programs.rs`).
pub(crate) fn bring(wanted: &[Server]) -> Result<()> {
    MODULES.iter().try_for_each(|module| module.bring(wanted))
}

impl GoModule {
    fn bring(&self, wanted: &[Server]) -> Result<()> {
        let programs = self.programs.iter().filter(|program| wanted.contains(&program.server));
        let programs: Vec<_> = programs.filter(|program| !program.is_supplied()).collect();
        let manifests = self.manifests.is_some_and(|manifests| wanted.contains(&manifests));
        if programs.is_empty() && !manifests {
            return Ok(());
        }
        let key = self.key()?;
        let place = servers().join(&key);
        let missing: Vec<_> =
            programs.into_iter().filter(|program| !place.join(program.name).is_file()).collect();
        if !missing.is_empty() {
            self.build(&place, &missing)?;
        }
        if manifests && !place.join("deploy").is_dir() {
            let copied = self.copy_manifests(&place);
            copied.with_context(|| format!("cannot copy the manifests of {}", self.source))?;
        }
        link(&servers().join(self.folder), Path::new(&key))
            .with_context(|| format!("cannot link target/servers/{}", self.folder))
    }

    /// Returns the first 16 digits of a hash over the files that the programs are built from.
    fn key(&self) -> Result<String> {
        let own = ["go.mod", "go.sum"].map(|file| self.directory().join(file));
        let sources = self.own_sources.iter().map(|file| sources().join(file));
        let hashed = own.into_iter().chain(sources).map(fs::read).collect::<io::Result<Vec<_>>>();
        let digest = hashed.and_then(|files| sha256(&files.concat()));
        let digest = digest.with_context(|| format!("cannot hash tests/servers/{}", self.folder))?;
        digest.get(..16).map(str::to_owned).context("sha256sum printed no hash")
    }

    fn build(&self, place: &Path, programs: &[&GoProgram]) -> Result<()> {
        self.require_go()?;
        let mut command = self.go();
        command
            .env("CGO_ENABLED", "0")
            .args(["build", "-mod=readonly", "-buildvcs=false", "-trimpath"])
            .args(["-ldflags", &self.link_flags()?])
            // The slash makes Go create a directory.
            .arg("-o")
            .arg(place.join(""))
            .args(programs.iter().map(|program| program.package));
        let names: Vec<_> = programs.iter().map(|program| program.name).collect();
        let (folder, version) = (self.folder, self.version()?);
        step::run(
            &format!("building {} of {folder} {version} with Go (once)", names.join(", ")),
            &mut command,
        )
    }

    fn link_flags(&self) -> Result<String> {
        let version = self.version()?;
        let mut numbers = version.trim_start_matches('v').split('.');
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let mut flags = "-s -w".to_owned();
        for (variable, part) in self.version_variables {
            let value = match part {
                VersionPart::Whole => version.as_str(),
                VersionPart::Major => major,
                VersionPart::Minor => minor,
            };
            flags.push_str(&format!(" -X {variable}={value}"));
        }
        Ok(flags)
    }

    /// Returns the source's version, as go.mod requires it.
    fn version(&self) -> Result<String> {
        let file = self.directory().join("go.mod");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut words = text.lines().map(|line| line.trim_start_matches("require").split_whitespace());
        let found = words.find_map(|mut words| (words.next() == Some(self.source)).then(|| words.next())?);
        found.map(str::to_owned).with_context(|| {
            format!("tests/servers/{}/go.mod requires no version of {}", self.folder, self.source)
        })
    }

    fn copy_manifests(&self, place: &Path) -> Result<()> {
        let source = self.source_directory()?;
        // Renamed when complete: an interrupted copy must not be taken for a complete one.
        let (complete, part) = (place.join("deploy"), place.join("deploy.part"));
        fs::create_dir_all(&part)?;
        for file in fs::read_dir(source.join("deploy"))? {
            let file = file?;
            fs::write(part.join(file.file_name()), fs::read(file.path())?)?;
        }
        fs::rename(part, complete)?;
        Ok(())
    }

    /// Returns the folder of the source in Go's module cache, downloading the source if needed.
    fn source_directory(&self) -> Result<PathBuf> {
        self.require_go()?;
        let mut download = self.go();
        step::run(
            &format!("downloading {} {}", self.source, self.version()?),
            download.args(["mod", "download", self.source]),
        )?;
        let mut list = self.go();
        let listed = list.args(["list", "-m", "-f", "{{.Dir}}", self.source]);
        let listed = listed.stderr(Stdio::inherit()).output()?;
        Ok(PathBuf::from(String::from_utf8_lossy(&listed.stdout).trim()))
    }

    fn require_go(&self) -> Result<()> {
        if self.go().arg("version").output().is_err() {
            bail!("the tests' servers are built with Go 1.26 or later: https://go.dev/dl");
        }
        Ok(())
    }

    fn go(&self) -> Command {
        let mut command = Command::new("go");
        command.current_dir(self.directory());
        // The user's own settings for Go must not change what is built.
        command.env("GOFLAGS", "").env("GOTOOLCHAIN", "local").env("GOWORK", "off");
        command
    }

    fn directory(&self) -> PathBuf {
        sources().join(self.folder)
    }
}

impl GoProgram {
    fn is_supplied(&self) -> bool {
        self.is_asset && env::var_os("KUBEBUILDER_ASSETS").is_some()
    }
}

fn sources() -> PathBuf {
    workspace().join("tests/servers")
}

fn servers() -> PathBuf {
    workspace().join("target/servers")
}

fn sha256(bytes: &[u8]) -> io::Result<String> {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(bytes)?;
    }
    let output = child.wait_with_output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Makes `link` point to `target`.
fn link(link: &Path, target: &Path) -> io::Result<()> {
    if fs::read_link(link).is_ok_and(|old| old == target) {
        return Ok(());
    }
    match fs::remove_file(link) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => symlink(target, link),
    }
}
