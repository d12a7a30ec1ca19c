//! That nothing is left behind: no process, and so no port, no mount and no file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

const PREFIX: &str = "coffer-";

/// The temporary directory of one run. Whatever the run starts has the directory's name on its command line or in its
/// environment, and mounts and writes below it: so all of it can be found again.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A new one. Its path is short: sockets below it may have no more than 108 bytes.
    pub(crate) fn new(purpose: &str) -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("{PREFIX}{purpose}-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|e| format!("cannot make {}: {e}", path.display()))?;
        Ok(Self(path))
    }

    /// One that another run of this program made; nothing of anyone else's.
    pub(crate) fn existing(path: PathBuf) -> Option<Self> {
        let ours = path.is_absolute() && path.file_name()?.to_string_lossy().starts_with(PREFIX);
        ours.then_some(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes the directory and whatever was left behind in it, and tells what that was.
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

    /// The processes that know the directory: their ids and command lines.
    fn processes(&self) -> Vec<(String, String)> {
        let name = self.path().as_os_str().as_encoded_bytes();
        let knows = |file: PathBuf| {
            let bytes = fs::read(file).unwrap_or_default();
            bytes.windows(name.len()).any(|window| window == name)
        };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
        let ours = ids.filter(|id| knows(id.path().join("cmdline")) || knows(id.path().join("environ")));
        ours.map(|id| (id.file_name().to_string_lossy().into_owned(), command_line(&id.path()))).collect()
    }

    /// The mount points below the directory, the innermost first.
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

/// What fails here was gone already.
fn run(command: &mut Command) {
    let _ = command.status();
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn processes_and_files_are_found_and_removed() {
        let folder = Folder::new("leftovers").expect("a directory");
        assert_eq!(folder.clear(), Vec::<String>::new(), "nothing was left");

        let folder = Folder::new("leftovers").expect("a directory");
        fs::write(folder.path().join("forgotten"), "").expect("a file");
        let mut child = Command::new("sleep")
            .arg("600")
            .env("TMPDIR", folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("a process");
        // until it has become the other program, it looks like this one
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
