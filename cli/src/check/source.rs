//! The manifests of the command line, as trees.

use std::path::PathBuf;

use super::report::{CheckFinding, CheckPlace, CheckReport, Severity};
use crate::manifest::files::{self, ManifestFile};
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

/// Reads all paths. A file that cannot be read is added to the report's failures, a document that
/// is not YAML to the report's findings.
pub(crate) fn read(paths: &[PathBuf], report: &mut CheckReport) -> Vec<ManifestSource> {
    let files = files::read(paths, &mut report.failures);
    files.iter().filter_map(|file| source(file, report)).collect()
}

fn source(file: &ManifestFile, report: &mut CheckReport) -> Option<ManifestSource> {
    let mut add = |fault: ManifestFault| {
        let finding = CheckFinding::new(Severity::Error, fault.message);
        let place = CheckPlace { file: Some(file.name.clone()), at: fault.at, ..CheckPlace::default() };
        report.findings.push(CheckFinding { place, ..finding });
    };
    let text = document::text(&file.bytes).map_err(&mut add).ok()?;
    let mut documents = Vec::new();
    for document in document::split(&text) {
        match document.parse() {
            Ok(node) => documents.extend(node),
            Err(fault) => add(fault),
        }
    }
    let lines = text.lines().map(ToOwned::to_owned).collect();
    Some(ManifestSource { file: Some(file.name.clone()), lines, documents })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

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
