//! TLS towards a Vault server: which authorities to trust, which certificate to show.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use reqwest::{Certificate, ClientBuilder, Identity};
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Secret};

/// TLS settings of one Vault target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tls {
    /// Certificate authorities to trust; without any, the system's.
    pub authorities: Authorities,
    /// Name to verify the certificate for, and to send as SNI, in place of the address's host.
    pub server_name: Option<String>,
    /// Client certificate and key.
    pub client: Option<ClientCertificate>,
    /// Accept any certificate. Never a good idea.
    pub skip_verify: bool,
}

/// Where certificate authorities come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Authorities {
    /// The system's.
    #[default]
    System,
    /// A file of PEM certificates.
    File(TlsFile),
    /// PEM text itself (`VAULT_CACERT_BYTES`).
    Pem(String),
    /// A directory whose files are PEM certificates.
    Directory(TlsFile),
}

/// A client certificate and its key, PEM files both.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// The certificate, with its chain.
    pub certificate: TlsFile,
    /// The private key.
    pub key: TlsFile,
}

/// A file that TLS settings name, and by which parameter where a class did.
///
/// Who writes a class is not who runs the node: a class must not reach files that only the node's agent may
/// read, such as its own service account token.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TlsFile {
    /// The path as it was written.
    pub path: PathBuf,
    /// The class's parameter that names it; none where the operator did.
    pub parameter: Option<String>,
}

/// Largest file of certificates or keys, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Files in a directory of authorities; a system's own holds some 150.
const MAX_FILES: usize = 1000;

/// When the files behind [`Tls`] were last changed; another stamp means they must be read again.
pub(super) type Stamp = Vec<Option<(SystemTime, u64)>>;

impl Tls {
    /// The stamp of the files as they are now. A few `stat` calls; none where no file is named.
    pub(super) fn stamp(&self) -> Stamp {
        let authorities = match &self.authorities {
            Authorities::File(file) | Authorities::Directory(file) => Some(file),
            Authorities::System | Authorities::Pem(_) => None,
        };
        let client = self.client.iter().flat_map(|client| [&client.certificate, &client.key]);
        let stat = |file: &TlsFile| {
            let metadata = std::fs::metadata(&file.path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        authorities.into_iter().chain(client).map(stat).collect()
    }

    /// Puts these settings into a client; `protected` are the directories closed to classes.
    ///
    /// # Errors
    /// `InvalidClass` where a class names a protected file, a file cannot be read, or holds no PEM.
    pub(super) fn apply(
        &self,
        builder: ClientBuilder,
        protected: &[PathBuf],
    ) -> Result<ClientBuilder, Error> {
        let mut builder = builder.tls_danger_accept_invalid_certs(self.skip_verify);
        let certificates = match &self.authorities {
            Authorities::System => None,
            Authorities::File(file) => Some(read_certificates(file, protected)?),
            Authorities::Pem(pem) => Some(certificates(pem.as_bytes()).ok_or_else(|| {
                misconfigured("environment variable VAULT_CACERT_BYTES holds no PEM certificate".to_owned())
            })?),
            Authorities::Directory(directory) => Some(read_directory(directory, protected)?),
        };
        if let Some(certificates) = certificates {
            builder = builder.tls_certs_only(certificates);
        }
        if let Some(client) = &self.client {
            let mut pem = read(&client.certificate, protected)?;
            pem.push(b"\n");
            pem.push(read(&client.key, protected)?.expose());
            let identity = Identity::from_pem(pem.expose());
            let identity = identity.map_err(|_| {
                let reason =
                    format!("it is no PEM certificate, or {} no key of it", client.key.path.display());
                client.certificate.refused(&reason)
            })?;
            builder = builder.identity(identity);
        }
        Ok(builder)
    }
}

fn read_directory(directory: &TlsFile, protected: &[PathBuf]) -> Result<Vec<Certificate>, Error> {
    let mut paths = Vec::new();
    for entry in
        std::fs::read_dir(resolve(directory, protected)?).map_err(|error| directory.unreadable(&error))?
    {
        let path = entry.map_err(|error| directory.unreadable(&error))?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    if paths.len() > MAX_FILES {
        return Err(directory.refused(&format!("it holds more than {MAX_FILES} files")));
    }
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let file = TlsFile { path, parameter: directory.parameter.clone() };
        all.extend(read_certificates(&file, protected)?);
    }
    Ok(all)
}

fn read_certificates(file: &TlsFile, protected: &[PathBuf]) -> Result<Vec<Certificate>, Error> {
    certificates(read(file, protected)?.expose()).ok_or_else(|| file.refused("it holds no PEM certificate"))
}

fn certificates(pem: &[u8]) -> Option<Vec<Certificate>> {
    Certificate::from_pem_bundle(pem).ok().filter(|certificates| !certificates.is_empty())
}

/// Reads a regular file of sane size: a class could name a device that never ends.
fn read(file: &TlsFile, protected: &[PathBuf]) -> Result<Secret, Error> {
    let path = resolve(file, protected)?;
    let metadata = std::fs::metadata(&path).map_err(|error| file.unreadable(&error))?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(file.refused("it is no regular file of at most 1 MiB"));
    }
    std::fs::read(&path).map(Secret::new).map_err(|error| file.unreadable(&error))
}

/// The file behind all links, which a class may name only outside the protected directories.
fn resolve(file: &TlsFile, protected: &[PathBuf]) -> Result<PathBuf, Error> {
    let is_protected = |path: &Path| {
        let lies_in = |directory: &PathBuf| {
            path.starts_with(directory)
                || directory.canonicalize().is_ok_and(|resolved| path.starts_with(resolved))
        };
        file.parameter.is_some() && protected.iter().any(lies_in)
    };
    let refused = || file.refused("it lies in a directory of the node agent's own");
    // asked before it is looked at, so that nothing is told about what exists there
    if is_protected(&file.path) {
        return Err(refused());
    }
    let path = file.path.canonicalize().map_err(|error| file.unreadable(&error))?;
    if is_protected(&path) { Err(refused()) } else { Ok(path) }
}

fn misconfigured(message: String) -> Error {
    Error::new(ErrorKind::Misconfigured, message).with_advice("The provider's flags or environment name it")
}

impl TlsFile {
    fn unreadable(&self, error: &io::Error) -> Error {
        self.refused(&format!("it cannot be read: {error}"))
    }

    fn refused(&self, reason: &str) -> Error {
        let path = self.path.display();
        match &self.parameter {
            Some(parameter) => {
                Error::class(format!("parameter {parameter:?}: {path} cannot be used: {reason}"))
            }
            None => misconfigured(format!("TLS file {path} cannot be used: {reason}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{TlsFile, read, resolve};

    #[test]
    fn a_class_cannot_reach_protected_files_by_any_way() {
        let root = tempfile::tempdir().expect("a directory");
        let own = root.path().join("own");
        std::fs::create_dir(&own).expect("a directory");
        std::fs::write(own.join("token"), "x").expect("a file");
        let link = root.path().join("link");
        std::os::unix::fs::symlink(own.join("token"), &link).expect("a link");
        let up = root.path().join("own/../own/token");

        for path in [own.join("token"), link.clone(), up] {
            let class = TlsFile { path: path.clone(), parameter: Some("vaultCACertPath".to_owned()) };
            let error = resolve(&class, std::slice::from_ref(&own)).expect_err("protected");
            assert!(error.message.starts_with("parameter \"vaultCACertPath\": "), "{error}");
            assert!(error.message.contains("the node agent's own"), "{error}");
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
