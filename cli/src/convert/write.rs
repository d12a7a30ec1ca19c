//! What a conversion writes: files in a directory, or a text.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::file::ConvertedFile;
use super::patch::WorkloadPatch;
use super::report::ConvertReport;

/// Everything that is written.
pub(super) struct ConvertOutput {
    /// Paths below the directory, and texts, in the order of writing.
    files: Vec<(PathBuf, String)>,
}

impl ConvertOutput {
    /// Returns the manifests.
    pub(super) fn manifests(converted: Vec<ConvertedFile>) -> Self {
        Self { files: converted.into_iter().map(|file| (file.path, file.text)).collect() }
    }

    /// Returns classes and patches. Each is written to the directory that is named with it.
    pub(super) fn patches(patches: impl IntoIterator<Item = (PathBuf, WorkloadPatch)>) -> Self {
        let files = patches.into_iter().flat_map(|(directory, patch)| {
            let named = |kind: &str| directory.join(format!("{}.{kind}.yaml", patch.name));
            let (classes, path) = (named("classes"), named("patch"));
            [Some((classes, patch.classes)), patch.patch.map(|text| (path, text))].into_iter().flatten()
        });
        Self { files: files.collect() }
    }

    /// Returns everything as one text of documents.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for (_, text) in &self.files {
            if !out.is_empty() {
                out.push_str(if out.ends_with('\n') { "" } else { "\n" });
                out.push_str(if text.starts_with("---") { "" } else { "---\n" });
            }
            out.push_str(text);
        }
        out
    }

    /// Writes the files into a directory. If one of them is there already, nothing is written.
    pub(super) fn write(self, directory: &Path, overwrite: bool, report: &mut ConvertReport) {
        let mut files = BTreeMap::new();
        for (path, text) in self.files {
            let path = directory.join(path);
            if !overwrite && path.exists() {
                let advice = "--overwrite writes over it, another --out leaves it";
                report.failures.push(format!("{} is there already: {advice}", path.display()));
            }
            if files.contains_key(&path) {
                report.failures.push(format!(
                    "two manifests would be written to {}: convert one at a time",
                    path.display()
                ));
            }
            files.insert(path, text);
        }
        if !report.failures.is_empty() {
            report.failures.push("nothing was written".to_owned());
            return;
        }
        for (path, text) in files {
            let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
            match parent.and_then(|()| fs::write(&path, text)) {
                Ok(()) => report.files.push(path.display().to_string()),
                Err(error) => report.failures.push(format!("cannot write {}: {error}", path.display())),
            }
        }
    }
}
