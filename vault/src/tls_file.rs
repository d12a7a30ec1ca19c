//! Files that TLS settings name, and what keeps a class from naming them.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use coffer_connect::{BundleProblem, ClientIdentityProblem};
use serde::{Deserialize, Serialize};

use crate::Secret;
use crate::tls_directory::MAX_FILES;

/// A file that TLS settings name, and the parameter of the class that names the file.
///
/// A class is written by a tenant. The class must not use files that only the node agent may read,
/// such as the service account token of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TlsFile {
    /// The path as written in the settings or the class.
    pub path: PathBuf,
    /// The parameter of the class that names the file; none if the operator named the file.
    pub parameter: Option<String>,
}

/// Maximum size of a file of certificates or keys, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why a file cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
pub struct TlsFileError {
    /// The file, and the parameter of the class that names the file.
    pub file: TlsFile,
    /// The problem of the file.
    #[source]
    pub problem: FileProblem,
}

/// The problem of a file that cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// The operating system refuses to read the file.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The file lies in a directory whose files a class must not name.
    #[error("it lies in a directory of the node agent's own")]
    Protected,
    /// The file is the operator's client certificate or its key.
    #[error(
        "it is the operator's own, for addresses that the operator names or trusts \
         (-vault-addr, -vault-trusted-addresses)"
    )]
    Operators,
    /// The file is a directory.
    #[error("it is a directory, where a file is needed")]
    IsDirectory,
    /// The file is a device or too large.
    #[error("it is no regular file of at most {} MiB", MAX_FILE_BYTES >> 20)]
    NotRegular,
    /// The file holds no certificate.
    #[error("{0}")]
    NoCertificate(#[from] BundleProblem),
    /// The client certificate or its key cannot be used.
    #[error("{0}")]
    Identity(#[from] ClientIdentityProblem),
    /// The directory holds too many files.
    #[error("it holds more than {MAX_FILES} files")]
    TooManyFiles,
    /// The directory holds too many directories below each other.
    #[error("it holds too many directories below each other")]
    TooDeep,
    /// The directory holds no file.
    #[error("it holds no file")]
    EmptyDirectory,
    /// A link in the directory leads nowhere.
    #[error("its link {} leads nowhere: {source}", path.display())]
    BrokenLink {
        /// The link.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A link in the directory leads to a directory.
    #[error("its link {} leads to a directory", .0.display())]
    LinkToDirectory(PathBuf),
}

impl fmt::Display for TlsFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, problem) = (self.file.path.display(), &self.problem);
        match &self.file.parameter {
            Some(parameter) => write!(f, "parameter {parameter:?}: {path} cannot be used: {problem}"),
            None => write!(f, "TLS file {path} cannot be used: {problem}"),
        }
    }
}

impl TlsFile {
    /// Returns whether both are one file, by whatever path.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        let identity = |file: &Self| fs::metadata(&file.path).ok().map(|found| (found.dev(), found.ino()));
        self.path == other.path || identity(self).is_some_and(|found| Some(found) == identity(other))
    }

    pub(crate) fn refused(&self, problem: impl Into<FileProblem>) -> TlsFileError {
        TlsFileError { file: self.clone(), problem: problem.into() }
    }
}

/// Reads a regular file up to the maximum size. A class could name a device that never ends.
pub(crate) fn read(file: &TlsFile, protected: &[PathBuf]) -> Result<Secret, TlsFileError> {
    let path = resolve(file, protected)?;
    let metadata = fs::metadata(&path).map_err(|error| file.refused(error))?;
    if metadata.is_dir() {
        return Err(file.refused(FileProblem::IsDirectory));
    }
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(file.refused(FileProblem::NotRegular));
    }
    fs::read(&path).map(Secret::new).map_err(|error| file.refused(error))
}

/// Returns the path with all symbolic links resolved. A class may use only files outside the
/// protected directories.
pub(crate) fn resolve(file: &TlsFile, protected: &[PathBuf]) -> Result<PathBuf, TlsFileError> {
    let is_protected = |path: &Path| {
        let lies_in = |directory: &PathBuf| {
            path.starts_with(directory)
                || directory.canonicalize().is_ok_and(|resolved| path.starts_with(resolved))
        };
        file.parameter.is_some() && protected.iter().any(lies_in)
    };
    // checked before the file is accessed, so that the error does not reveal whether the file
    // exists
    if is_protected(&file.path) {
        return Err(file.refused(FileProblem::Protected));
    }
    let path = file.path.canonicalize().map_err(|error| file.refused(error))?;
    if is_protected(&path) { Err(file.refused(FileProblem::Protected)) } else { Ok(path) }
}

#[cfg(test)]
mod tests {
    use super::{TlsFile, read, resolve};

    #[test]
    fn a_class_cannot_use_protected_files_even_by_links_and_dots() {
        let root = tempfile::tempdir().expect("a directory");
        let own = root.path().join("own");
        std::fs::create_dir(&own).expect("a directory");
        std::fs::write(own.join("token"), "x").expect("a file");
        let link = root.path().join("link");
        std::os::unix::fs::symlink(own.join("token"), &link).expect("a link");
        let up = root.path().join("own/../own/token");

        for path in [own.join("token"), link.clone(), up] {
            let class = TlsFile { path: path.clone(), parameter: Some("vaultCACertPath".to_owned()) };
            let error = resolve(&class, std::slice::from_ref(&own)).expect_err("protected").to_string();
            assert!(error.starts_with("parameter \"vaultCACertPath\": "), "{error}");
            assert!(error.contains("the node agent's own"), "{error}");
            let operator = TlsFile { path, parameter: None };
            assert!(resolve(&operator, std::slice::from_ref(&own)).is_ok());
        }
    }

    #[test]
    fn one_file_is_found_by_every_path() {
        let root = tempfile::tempdir().expect("a directory");
        let file = |name: &str| TlsFile { path: root.path().join(name), parameter: None };
        for name in ["key", "other"] {
            std::fs::write(file(name).path, "x").expect("a file");
        }
        std::os::unix::fs::symlink(file("key").path, file("link").path).expect("a link");
        std::fs::hard_link(file("key").path, file("hard").path).expect("a link");
        for name in ["key", "link", "hard", "./key"] {
            assert!(file(name).is_same_file(&file("key")), "{name}");
        }
        assert!(!file("other").is_same_file(&file("key")));
        assert!(!file("absent").is_same_file(&file("gone")));
    }

    #[test]
    fn only_regular_files_are_read() {
        for path in ["/dev/zero", "/dev/stdin", "/tmp"] {
            let file = TlsFile { path: path.into(), parameter: Some("vaultCACertPath".to_owned()) };
            assert!(read(&file, &[]).is_err(), "{path}");
        }
    }
}
