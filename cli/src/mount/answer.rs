//! Checks a provider's answer as the driver does, and also for what would let the driver fail
//! later.

use std::collections::BTreeSet;

use coffer_proto::v1alpha1::{File, MountResponse, ObjectVersion};
use thiserror::Error;

const MAX_PATH_BYTES: usize = 4096;
const MAX_NAME_BYTES: usize = 255;

/// An answer that the driver would write: every path is relative and clean, and no file is in the
/// place of another file's directory.
pub(crate) struct MountAnswer {
    /// All files of the volume.
    pub(crate) files: Vec<File>,
    /// The versions of the objects; no two have the same id.
    pub(crate) versions: Vec<ObjectVersion>,
}

/// Why the driver would not write an answer.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum AnswerError {
    /// The provider answered with an error in the message instead of a gRPC status.
    #[error("the provider answered with error code {0:?}")]
    Code(String),
    /// There are no versions to record in the SecretProviderClassPodStatus.
    #[error("the answer has no object versions")]
    NoVersions,
    /// Two versions have the same id.
    #[error("the answer has two versions of object {0:?}")]
    TwoVersions(String),
    /// A file has a path that may not be written to.
    #[error("the answer's file {path:?}: {fault}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with the path.
        fault: PathFault,
    },
}

/// What is wrong with the path of a file.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum PathFault {
    /// There is no path.
    #[error("the path is empty")]
    Empty,
    /// The path is longer than Linux allows.
    #[error("the path is too long")]
    TooLong,
    /// The path begins with `/`.
    #[error("the path is absolute")]
    Absolute,
    /// The path leads out of a directory.
    #[error("the path has a `..`")]
    ParentDirectory,
    /// The driver reserves such names for its own directories.
    #[error("the path begins with `..`")]
    LeadingDots,
    /// The path has an empty element or a `.`.
    #[error("the path is not clean")]
    NotClean,
    /// An element is longer than Linux allows.
    #[error("a name in the path is too long")]
    NameTooLong,
    /// The path has a NUL.
    #[error("the path has a NUL")]
    Nul,
    /// Another file has the same path.
    #[error("it is there twice")]
    Twice,
    /// Another file has the path of one of the directories.
    #[error("one of its directories is a file of the answer too")]
    DirectoryIsFile,
}

impl MountAnswer {
    /// Checks what a provider answered.
    pub(crate) fn check(response: MountResponse) -> Result<Self, AnswerError> {
        let MountResponse { object_version: versions, error, files } = response;
        if let Some(error) = error.filter(|error| !error.code.is_empty()) {
            return Err(AnswerError::Code(error.code));
        }
        check_versions(&versions)?;
        check_files(&files)?;
        Ok(Self { files, versions })
    }
}

fn check_versions(versions: &[ObjectVersion]) -> Result<(), AnswerError> {
    if versions.is_empty() {
        return Err(AnswerError::NoVersions);
    }
    let mut ids = BTreeSet::new();
    match versions.iter().find(|version| !ids.insert(&version.id)) {
        Some(twice) => Err(AnswerError::TwoVersions(twice.id.clone())),
        None => Ok(()),
    }
}

fn check_files(files: &[File]) -> Result<(), AnswerError> {
    let mut paths = BTreeSet::new();
    for File { path, .. } in files {
        let fault = fault(path).or_else(|| (!paths.insert(&**path)).then_some(PathFault::Twice));
        if let Some(fault) = fault {
            return Err(AnswerError::Path { path: path.clone(), fault });
        }
    }
    match paths.iter().find(|path| has_file_above(path, &paths)) {
        Some(path) => Err(AnswerError::Path { path: (*path).to_owned(), fault: PathFault::DirectoryIsFile }),
        None => Ok(()),
    }
}

/// Returns what is wrong with a path, whatever the other paths are.
fn fault(path: &str) -> Option<PathFault> {
    let mut names = path.split('/');
    if path.is_empty() {
        Some(PathFault::Empty)
    } else if path.len() > MAX_PATH_BYTES {
        Some(PathFault::TooLong)
    } else if path.starts_with('/') {
        Some(PathFault::Absolute)
    } else if names.clone().any(|name| name == "..") {
        Some(PathFault::ParentDirectory)
    } else if path.starts_with("..") {
        Some(PathFault::LeadingDots)
    } else if names.clone().any(|name| name.is_empty() || name == ".") {
        Some(PathFault::NotClean)
    } else if names.any(|name| name.len() > MAX_NAME_BYTES) {
        Some(PathFault::NameTooLong)
    } else if path.contains('\0') {
        Some(PathFault::Nul)
    } else {
        None
    }
}

fn has_file_above(path: &str, paths: &BTreeSet<&str>) -> bool {
    path.match_indices('/').any(|(end, _)| paths.contains(&path[..end]))
}

#[cfg(test)]
mod tests {
    use coffer_proto::v1alpha1::Error;

    use super::*;

    fn response(ids: &[&str], paths: &[&str]) -> MountResponse {
        let version = |id: &&str| ObjectVersion { id: (*id).into(), version: "1".into() };
        let file = |path: &&str| File { path: (*path).into(), mode: 0o644, contents: b"x".to_vec() };
        MountResponse {
            object_version: ids.iter().map(version).collect(),
            error: None,
            files: paths.iter().map(file).collect(),
        }
    }

    fn refused(response: MountResponse) -> AnswerError {
        MountAnswer::check(response).err().expect("a refusal")
    }

    #[test]
    fn every_file_and_version_of_a_valid_answer_is_returned() {
        let answer = MountAnswer::check(response(&["a", "b"], &["a", "dir/b", "dir/..c", "a.b", ".hidden"]));
        let MountAnswer { files, versions } = answer.expect("a valid answer");
        assert_eq!((files.len(), versions.len()), (5, 2));
    }

    #[test]
    fn an_error_code_hides_the_rest() {
        let error = Some(Error { code: "AuthError".into() });
        assert_eq!(
            refused(MountResponse { error, ..response(&[], &[]) }),
            AnswerError::Code("AuthError".into())
        );
        let error = Some(Error::default());
        assert!(MountAnswer::check(MountResponse { error, ..response(&["a"], &["a"]) }).is_ok());
    }

    #[test]
    fn versions_must_be_there_and_have_different_ids() {
        assert_eq!(refused(response(&[], &["a"])), AnswerError::NoVersions);
        assert_eq!(refused(response(&["a", "a"], &["a"])), AnswerError::TwoVersions("a".into()));
    }

    #[test]
    fn an_answer_without_files_is_taken() {
        let answer = MountAnswer::check(response(&["a"], &[])).expect("an answer");
        assert!(answer.files.is_empty() && answer.versions.len() == 1);
    }

    #[test]
    fn a_path_that_leads_out_or_is_not_clean_is_refused() {
        let (long, name) = ("a/".repeat(2048) + "a", "a".repeat(256));
        for (path, text) in [
            ("", "the path is empty"),
            (&long, "the path is too long"),
            ("/etc/passwd", "the path is absolute"),
            ("..", "the path has a `..`"),
            ("../a", "the path has a `..`"),
            ("a/../b", "the path has a `..`"),
            ("a/..", "the path has a `..`"),
            ("..a/b", "the path begins with `..`"),
            (".", "the path is not clean"),
            ("./a", "the path is not clean"),
            ("a//b", "the path is not clean"),
            ("a/", "the path is not clean"),
            (&name, "a name in the path is too long"),
            ("a\0b", "the path has a NUL"),
        ] {
            let path = path.to_owned();
            let response = response(&["a"], &["fine", &path]);
            let expected = format!("the answer's file {path:?}: {text}");
            assert_eq!(refused(response).to_string(), expected);
        }
    }

    #[test]
    fn no_file_has_the_path_of_another_or_of_its_directory() {
        for (paths, path, fault) in [
            (["a", "a"], "a", PathFault::Twice),
            (["a", "a/b"], "a/b", PathFault::DirectoryIsFile),
            (["a/b/c", "a"], "a/b/c", PathFault::DirectoryIsFile),
        ] {
            let path = path.to_owned();
            assert_eq!(refused(response(&["a"], &paths)), AnswerError::Path { path, fault });
        }
    }
}
