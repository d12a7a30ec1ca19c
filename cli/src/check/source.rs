//! The manifests of the command line: files, directories of files, and standard input.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::report::{CheckFinding, CheckPlace, CheckReport, Severity};
use crate::manifest::yaml::YamlNode;
use crate::manifest::{ManifestFault, document};

/// The manifests in one file, or in the cluster.
pub(crate) struct ManifestSource {
    /// The file's name; none for the cluster.
    pub(crate) file: Option<String>,
    /// The lines of the file.
    pub(crate) lines: Vec<String>,
    /// The documents.
    pub(crate) documents: Vec<YamlNode>,
}

/// Extensions of manifests.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

/// Reads all paths. A file that cannot be read is added to the report's failures, a document that
/// is not YAML to the report's findings.
pub(crate) fn read(paths: &[PathBuf], report: &mut CheckReport) -> Vec<ManifestSource> {
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            let read = io::stdin().read_to_end(&mut bytes).map(|_| bytes);
            sources.extend(source("standard input", read, report));
        } else {
            for file in files(path, report) {
                sources.extend(source(&file.display().to_string(), fs::read(&file), report));
            }
        }
    }
    sources
}

fn source(name: &str, bytes: io::Result<Vec<u8>>, report: &mut CheckReport) -> Option<ManifestSource> {
    let bytes = bytes.map_err(|error| report.failures.push(format!("cannot read {name}: {error}"))).ok()?;
    let mut add = |fault: ManifestFault| {
        let finding = CheckFinding::new(Severity::Error, fault.message);
        let place = CheckPlace { file: Some(name.to_owned()), at: fault.at, ..CheckPlace::default() };
        report.findings.push(CheckFinding { place, ..finding });
    };
    let text = document::text(&bytes).map_err(&mut add).ok()?;
    let mut documents = Vec::new();
    for document in document::split(&text) {
        match document.parse() {
            Ok(node) => documents.extend(node),
            Err(fault) => add(fault),
        }
    }
    let lines = text.lines().map(ToOwned::to_owned).collect();
    Some(ManifestSource { file: Some(name.to_owned()), lines, documents })
}

/// Returns the path itself if it is a file, else every manifest in the directory and below, sorted.
fn files(path: &Path, report: &mut CheckReport) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let mut entries = match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) => {
            report.failures.push(format!("cannot read {}: {error}", path.display()));
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
            found.extend(files(&path, report));
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
        let mut report = CheckReport::default();
        let found = files(dir.path(), &mut report);
        let names: Vec<_> = found
            .iter()
            .map(|file| file.strip_prefix(dir.path()).expect("below").display().to_string())
            .collect();
        assert_eq!(names, ["a.yml", "b.yaml", "c/d.json"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_reported_and_the_rest_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("a.yaml"), "kind: A\n---\nkind: [\n---\nkind: B\n").expect("a file");
        let mut report = CheckReport::default();
        let sources = read(&[dir.path().join("none.yaml"), dir.path().to_owned()], &mut report);
        assert_eq!(sources[0].documents.len(), 2);
        assert!(report.failures[0].contains("none.yaml"), "{:?}", report.failures);
        let finding = &report.findings[0];
        assert!(finding.message.starts_with("not YAML: "), "{}", finding.message);
        assert!(finding.place.at.is_some_and(|at| (3..=4).contains(&at.line)), "{:?}", finding.place.at);
    }
}
