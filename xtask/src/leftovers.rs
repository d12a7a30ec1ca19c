//! Finds and removes what a run leaves behind: processes (and so ports), mounts and files.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use anyhow::{Context, Result, bail};

const PREFIX: &str = "coffer-";

/// The temporary directory of one run. Every process of the run has the directory's path in its
/// arguments or environment, and mounts and writes below it, so that all of them can be found.
pub(crate) struct RunFolder(PathBuf);

impl RunFolder {
    /// Makes a directory. Its path is short, since a socket's path has at most 108 bytes.
    pub(crate) fn new(purpose: &str) -> Result<Self> {
        let path = env::temp_dir().join(format!("{PREFIX}{purpose}-{}", process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Returns the directory of an earlier run, or `None` if `path` cannot be one.
    pub(crate) fn existing(path: PathBuf) -> Option<Self> {
        let ours = path.is_absolute() && path.file_name()?.to_string_lossy().starts_with(PREFIX);
        ours.then_some(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes the directory and what was left behind. Returns a line for each thing removed.
    pub(crate) fn clear(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (id, command) in self.processes() {
            found.push(format!("process {id}: {command}"));
            run(Command::new("kill").arg("-KILL").arg(id));
        }
        for target in self.mounts() {
            found.push(format!("mount {target}"));
            run(Command::new("umount").arg("--lazy").arg(target));
        }
        let entries = fs::read_dir(self.path()).into_iter().flatten().flatten();
        found.extend(entries.map(|entry| format!("file {}", entry.path().display())));
        if let Err(e) = fs::remove_dir_all(self.path())
            && e.kind() != io::ErrorKind::NotFound
        {
            found.push(format!("{} itself: {e}", self.path().display()));
        }
        found
    }

    /// Removes the directory and what was left behind.
    ///
    /// # Errors
    /// If something was.
    pub(crate) fn end(&self) -> Result<()> {
        let left = self.clear();
        if left.is_empty() { Ok(()) } else { bail!("left behind, and removed now:\n{}", left.join("\n")) }
    }

    /// Returns the processes with the directory's path in their arguments or environment: ids and
    /// command lines.
    fn processes(&self) -> Vec<(String, String)> {
        let name = self.path().as_os_str().as_encoded_bytes();
        let names_it = |file: PathBuf| {
            let bytes = fs::read(file).unwrap_or_default();
            bytes.windows(name.len()).any(|window| window == name)
        };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
        let ours =
            ids.filter(|id| names_it(id.path().join("cmdline")) || names_it(id.path().join("environ")));
        ours.map(|id| (id.file_name().to_string_lossy().into_owned(), command_line(&id.path()))).collect()
    }

    /// Returns the mount points below the directory, the innermost first.
    fn mounts(&self) -> Vec<String> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let targets = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let mut below: Vec<_> =
            targets.filter(|target| Path::new(target).starts_with(self.path())).map(str::to_owned).collect();
        below.reverse();
        below
    }
}

fn command_line(process: &Path) -> String {
    let words = fs::read(process.join("cmdline")).unwrap_or_default();
    let words = words.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    words.take(3).collect::<Vec<_>>().join(" ")
}

/// Runs a command whose failure means that there was nothing left to remove.
fn run(command: &mut Command) {
    let _ = command.status();
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn processes_and_files_are_found_and_removed() {
        let folder = RunFolder::new("leftovers").expect("a directory");
        assert_eq!(folder.clear(), Vec::<String>::new(), "nothing was left");

        let folder = RunFolder::new("leftovers").expect("a directory");
        fs::write(folder.path().join("forgotten"), "").expect("a file");
        let mut child = Command::new("sleep")
            .arg("600")
            .env("TMPDIR", folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("a process");
        // Until the new process has executed `sleep`, its arguments are those of this one.
        let line = format!("/proc/{}/cmdline", child.id());
        while !fs::read(&line).is_ok_and(|line| line.starts_with(b"sleep")) {
            std::thread::yield_now();
        }
        let found = folder.clear();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains(&child.id().to_string()), "{found:?}");
        assert!(found[1].ends_with("forgotten"), "{found:?}");
        assert!(!folder.path().exists());
        assert!(!child.wait().expect("its end").success());
    }
}
