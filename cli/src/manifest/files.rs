//! The manifests of a command line: files, directories of files, and standard input.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A file as it was read.
pub(crate) struct ManifestFile {
    /// The file's name, as it is shown.
    pub(crate) name: String,
    /// The path below the directory that was given, or the file's name.
    pub(crate) relative: PathBuf,
    /// What it holds.
    pub(crate) bytes: Vec<u8>,
}

/// Extensions of manifests.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

/// Reads all paths; `-` is standard input. What cannot be read is added to the failures.
pub(crate) fn read(paths: &[PathBuf], failures: &mut Vec<String>) -> Vec<ManifestFile> {
    let mut read = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            let input = io::stdin().read_to_end(&mut bytes).map(|_| bytes);
            read.extend(file("standard input".to_owned(), "stdin.yaml".into(), input, failures));
        } else {
            for found in files(path, failures) {
                let relative = found.strip_prefix(path).ok().filter(|below| !below.as_os_str().is_empty());
                let relative = relative.or(found.file_name().map(Path::new)).unwrap_or(&found).to_owned();
                read.extend(file(found.display().to_string(), relative, fs::read(&found), failures));
            }
        }
    }
    read
}

fn file(
    name: String,
    relative: PathBuf,
    bytes: io::Result<Vec<u8>>,
    failures: &mut Vec<String>,
) -> Option<ManifestFile> {
    match bytes {
        Ok(bytes) => Some(ManifestFile { name, relative, bytes }),
        Err(error) => {
            failures.push(format!("cannot read {name}: {error}"));
            None
        }
    }
}

/// Returns the path itself if it is a file, else every manifest in the directory and below, sorted.
fn files(path: &Path, failures: &mut Vec<String>) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let mut entries = match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) => {
            failures.push(format!("cannot read {}: {error}", path.display()));
            return Vec::new();
        }
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut found = Vec::new();
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type());
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if hidden {
            continue;
        }
        // not path.is_dir(), which follows links: a link may lead back to a directory above
        if kind.is_ok_and(|kind| kind.is_dir()) {
            found.extend(files(&path, failures));
        } else if path.is_file() && is_manifest(&path) {
            found.push(path);
        }
    }
    found
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_s_manifests_are_found_in_order() {
        let dir = tempfile::tempdir().expect("a directory");
        for file in ["b.yaml", "a.yml", "c/d.json", "c/e.txt", ".git/f.yaml"] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, "{}").expect("a file");
        }
        std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).expect("a link");
        let found = read(&[dir.path().to_owned(), dir.path().join("c/e.txt")], &mut Vec::new());
        let names: Vec<_> = found.iter().map(|file| file.relative.display().to_string()).collect();
        assert_eq!(names, ["a.yml", "b.yaml", "c/d.json", "e.txt"]);
    }
}
