//! TLS settings of a Vault target: authorities, client certificate, server name.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use reqwest::{Certificate, ClientBuilder, Identity};
use serde::{Deserialize, Serialize};

use crate::Secret;
use crate::error::{FileProblem, TargetError, TlsFileError};

/// TLS settings of one Vault target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tls {
    /// Certificate authorities to trust.
    pub authorities: Authorities,
    /// The name to verify the server certificate for, and to send as SNI; none is the host of the
    /// address.
    pub server_name: Option<String>,
    /// Client certificate and key.
    pub client: Option<ClientCertificate>,
    /// Whether every server certificate is accepted, which is insecure.
    pub skip_verify: bool,
}

/// The source of the trusted certificate authorities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Authorities {
    /// The system's authorities.
    #[default]
    System,
    /// A file of PEM certificates.
    File(TlsFile),
    /// PEM text (`VAULT_CACERT_BYTES`).
    Pem(String),
    /// A directory whose files are PEM certificates.
    Directory(TlsFile),
}

/// The PEM files of a client certificate and its private key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// The certificate, with its chain.
    pub certificate: TlsFile,
    /// The private key.
    pub key: TlsFile,
}

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
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 20;

/// Maximum number of files in a directory of authorities. A system's own directory has about 150.
pub(crate) const MAX_FILES: usize = 1000;

/// Modification time and size of each file that [`Tls`] names. If a stamp differs, the files must
/// be read again.
pub(crate) type Stamp = Vec<Option<(SystemTime, u64)>>;

impl Tls {
    /// Returns the current stamp of the files, by one `stat` call per file.
    pub(crate) fn stamp(&self) -> Stamp {
        let authorities = match &self.authorities {
            Authorities::File(file) | Authorities::Directory(file) => Some(file),
            Authorities::System | Authorities::Pem(_) => None,
        };
        let client = self.client.iter().flat_map(|client| [&client.certificate, &client.key]);
        let stat = |file: &TlsFile| {
            let metadata = fs::metadata(&file.path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        authorities.into_iter().chain(client).map(stat).collect()
    }

    /// Adds the TLS settings to a client. `protected` are the directories whose files a class must
    /// not name.
    ///
    /// # Errors
    /// [`TargetError`], if a class names a protected file, or a file cannot be read or is not PEM.
    pub(crate) fn apply(
        &self,
        builder: ClientBuilder,
        protected: &[PathBuf],
    ) -> Result<ClientBuilder, TargetError> {
        let mut builder = builder.tls_danger_accept_invalid_certs(self.skip_verify);
        let certificates = match &self.authorities {
            Authorities::System => None,
            Authorities::File(file) => Some(read_certificates(file, protected)?),
            Authorities::Pem(pem) => Some(certificates(pem.as_bytes()).ok_or(TargetError::NoPem)?),
            Authorities::Directory(directory) => Some(read_directory(directory, protected)?),
        };
        if let Some(certificates) = certificates {
            builder = builder.tls_certs_only(certificates);
        }
        if let Some(client) = &self.client {
            builder = builder.identity(read_identity(client, protected)?);
        }
        Ok(builder)
    }
}

impl TlsFile {
    fn refused(&self, problem: impl Into<FileProblem>) -> TlsFileError {
        TlsFileError { file: self.clone(), problem: problem.into() }
    }
}

fn read_identity(client: &ClientCertificate, protected: &[PathBuf]) -> Result<Identity, TlsFileError> {
    let mut pem = read(&client.certificate, protected)?;
    pem.push(b"\n");
    pem.push(read(&client.key, protected)?.expose());
    Identity::from_pem(pem.expose()).map_err(|_| {
        // the library's error is dropped, since the text may quote the key
        client.certificate.refused(FileProblem::NoIdentity { key: client.key.path.clone() })
    })
}

fn read_directory(directory: &TlsFile, protected: &[PathBuf]) -> Result<Vec<Certificate>, TlsFileError> {
    let mut paths = Vec::new();
    let entries = fs::read_dir(resolve(directory, protected)?).map_err(|error| directory.refused(error))?;
    for entry in entries {
        let path = entry.map_err(|error| directory.refused(error))?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    if paths.len() > MAX_FILES {
        return Err(directory.refused(FileProblem::TooManyFiles));
    }
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let file = TlsFile { path, parameter: directory.parameter.clone() };
        all.extend(read_certificates(&file, protected)?);
    }
    Ok(all)
}

fn read_certificates(file: &TlsFile, protected: &[PathBuf]) -> Result<Vec<Certificate>, TlsFileError> {
    let pem = read(file, protected)?;
    certificates(pem.expose()).ok_or_else(|| file.refused(FileProblem::NoCertificate))
}

fn certificates(pem: &[u8]) -> Option<Vec<Certificate>> {
    Certificate::from_pem_bundle(pem).ok().filter(|certificates| !certificates.is_empty())
}

/// Reads a regular file up to the maximum size. A class could name a device that never ends.
fn read(file: &TlsFile, protected: &[PathBuf]) -> Result<Secret, TlsFileError> {
    let path = resolve(file, protected)?;
    let metadata = fs::metadata(&path).map_err(|error| file.refused(error))?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(file.refused(FileProblem::NotRegular));
    }
    fs::read(&path).map(Secret::new).map_err(|error| file.refused(error))
}

/// Returns the path with all symbolic links resolved. A class may use only files outside the
/// protected directories.
fn resolve(file: &TlsFile, protected: &[PathBuf]) -> Result<PathBuf, TlsFileError> {
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
    fn only_regular_files_are_read() {
        for path in ["/dev/zero", "/dev/stdin", "/tmp"] {
            let file = TlsFile { path: path.into(), parameter: Some("vaultCACertPath".to_owned()) };
            assert!(read(&file, &[]).is_err(), "{path}");
        }
    }
}
