//! The manifests that are given: files, directories of them, standard input.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::report::{Finding, Report, Severity};
use crate::class::document;
use crate::class::node::Node;

/// Manifests that come from one place.
pub(crate) struct Source {
    /// The file's name; none for a cluster.
    pub(crate) file: Option<String>,
    /// Its text, in lines.
    pub(crate) lines: Vec<String>,
    /// Its documents.
    pub(crate) documents: Vec<Node>,
}

/// What a manifest's name ends with.
const ENDINGS: [&str; 3] = ["json", "yaml", "yml"];

/// Reads all that is given. What cannot be read is added to the report's failures, what is no YAML to its findings.
pub(crate) fn read(paths: &[PathBuf], report: &mut Report) -> Vec<Source> {
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut text = String::new();
            let read = io::stdin().read_to_string(&mut text).map(|_| text);
            sources.extend(source("standard input", read, report));
        } else {
            for file in files(path, report) {
                sources.extend(source(&file.display().to_string(), fs::read_to_string(&file), report));
            }
        }
    }
    sources
}

fn source(name: &str, text: io::Result<String>, report: &mut Report) -> Option<Source> {
    let text = text.map_err(|error| report.failures.push(format!("cannot read {name}: {error}"))).ok()?;
    let mut documents = Vec::new();
    for document in document::split(&text) {
        match document.parse() {
            Ok(node) => documents.extend(node),
            Err(fault) => report.findings.push(Finding {
                file: Some(name.to_owned()),
                at: fault.at,
                ..Finding::new(Severity::Error, fault.message)
            }),
        }
    }
    let lines = text.lines().map(ToOwned::to_owned).collect();
    Some(Source { file: Some(name.to_owned()), lines, documents })
}

/// The file itself, or every manifest below the directory, sorted.
fn files(path: &Path, report: &mut Report) -> Vec<PathBuf> {
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
        // a link to a directory may lead back here
        if kind.is_ok_and(|kind| kind.is_dir()) {
            found.extend(files(&path, report));
        } else if path.is_file()
            && path.extension().is_some_and(|end| ENDINGS.iter().any(|known| end == *known))
        {
            found.push(path);
        }
    }
    found
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
        let mut report = Report::default();
        let found = files(dir.path(), &mut report);
        let names: Vec<_> = found
            .iter()
            .map(|file| file.strip_prefix(dir.path()).expect("below").display().to_string())
            .collect();
        assert_eq!(names, ["a.yml", "b.yaml", "c/d.json"]);
    }

    #[test]
    fn what_cannot_be_read_is_told_and_the_rest_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("a.yaml"), "kind: A\n---\nkind: [\n---\nkind: B\n").expect("a file");
        let mut report = Report::default();
        let sources = read(&[dir.path().join("none.yaml"), dir.path().to_owned()], &mut report);
        assert_eq!(sources[0].documents.len(), 2);
        assert!(report.failures[0].contains("none.yaml"), "{:?}", report.failures);
        let finding = &report.findings[0];
        assert!(finding.message.starts_with("not YAML: "), "{}", finding.message);
        assert!(finding.at.is_some_and(|at| (3..=4).contains(&at.line)), "{:?}", finding.at);
    }
}
