//! Checks a provider's answer as the driver does, and for what the driver fails over only later.

use std::collections::BTreeSet;

use coffer_proto::v1alpha1::{File, MountResponse, ObjectVersion};
use thiserror::Error;

const LONGEST_PATH: usize = 4096;
const LONGEST_NAME: usize = 255;

/// An answer that the driver would write: all paths are clean, relative, and in no one's way.
pub(crate) struct Answer {
    /// All files of the volume.
    pub(crate) files: Vec<File>,
    /// The versions of its objects, by unique ids.
    pub(crate) versions: Vec<ObjectVersion>,
}

/// Why the driver would not write an answer.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum AnswerError {
    /// The provider failed without a status.
    #[error("the provider answered with error code {0:?}")]
    Code(String),
    /// Nothing to record in the pod's status.
    #[error("the answer has no object versions")]
    NoVersions,
    /// One object twice.
    #[error("the answer has two versions of object {0:?}")]
    TwoVersions(String),
    /// Nothing to write.
    #[error("the answer has no files")]
    NoFiles,
    /// A path that must not be written to.
    #[error("the answer's file {path:?}: {fault}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        fault: &'static str,
    },
}

/// Checks what a provider answered.
pub(crate) fn check(response: MountResponse) -> Result<Answer, AnswerError> {
    let MountResponse { object_version: versions, error, files } = response;
    if let Some(error) = error.filter(|error| !error.code.is_empty()) {
        return Err(AnswerError::Code(error.code));
    }
    check_versions(&versions)?;
    check_files(&files)?;
    Ok(Answer { files, versions })
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
    if files.is_empty() {
        return Err(AnswerError::NoFiles);
    }
    let mut paths = BTreeSet::new();
    for File { path, .. } in files {
        let fault = fault(path).or_else(|| (!paths.insert(&**path)).then_some("it is there twice"));
        if let Some(fault) = fault {
            return Err(AnswerError::Path { path: path.clone(), fault });
        }
    }
    match paths.iter().find(|path| has_file_above(path, &paths)) {
        Some(path) => {
            let fault = "one of its directories is a file of the answer too";
            Err(AnswerError::Path { path: (*path).to_owned(), fault })
        }
        None => Ok(()),
    }
}

/// What is wrong with the path by itself.
fn fault(path: &str) -> Option<&'static str> {
    let mut names = path.split('/');
    if path.is_empty() {
        Some("the path is empty")
    } else if path.len() > LONGEST_PATH {
        Some("the path is too long")
    } else if path.starts_with('/') {
        Some("the path is absolute")
    } else if names.clone().any(|name| name == "..") {
        Some("the path has a `..`")
    } else if path.starts_with("..") {
        Some("the path begins with `..`")
    } else if names.clone().any(|name| name.is_empty() || name == ".") {
        Some("the path is not clean")
    } else if names.any(|name| name.len() > LONGEST_NAME) {
        Some("a name in the path is too long")
    } else if path.contains('\0') {
        Some("the path has a NUL")
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
        check(response).err().expect("a refusal")
    }

    #[test]
    fn a_sound_answer_is_kept_whole() {
        let answer = check(response(&["a", "b"], &["a", "dir/b", "dir/..c", "a.b", ".hidden"]));
        let Answer { files, versions } = answer.expect("sound");
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
        assert!(check(MountResponse { error, ..response(&["a"], &["a"]) }).is_ok());
    }

    #[test]
    fn versions_are_there_and_unique() {
        assert_eq!(refused(response(&[], &["a"])), AnswerError::NoVersions);
        assert_eq!(refused(response(&["a", "a"], &["a"])), AnswerError::TwoVersions("a".into()));
    }

    #[test]
    fn an_answer_without_files_is_none() {
        assert_eq!(refused(response(&["a"], &[])), AnswerError::NoFiles);
    }

    #[test]
    fn no_path_leads_out_or_is_unclean() {
        let (long, name) = ("a/".repeat(2048) + "a", "a".repeat(256));
        for (path, fault) in [
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
            assert_eq!(refused(response), AnswerError::Path { path, fault });
        }
    }

    #[test]
    fn no_file_is_in_another_s_way() {
        for paths in [["a", "a"], ["a", "a/b"], ["a/b/c", "a"]] {
            assert!(matches!(refused(response(&["a"], &paths)), AnswerError::Path { .. }), "{paths:?}");
        }
    }
}
