//! TLS settings of a Vault target: authorities, client certificate, server name.

use std::borrow::Cow;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use reqwest::{Certificate, ClientBuilder, Identity};
use serde::{Deserialize, Serialize};

use crate::TargetError;
use crate::tls_file::{FileProblem, MAX_FILES, TlsFile, TlsFileError, read, resolve};

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

    /// Returns the settings for a server that is not the operator's: without the client certificate
    /// `own`, which the operator set.
    ///
    /// # Errors
    /// [`TlsFileError`], if a class names a file of that certificate.
    pub(crate) fn for_others(&self, own: Option<&ClientCertificate>) -> Result<Cow<'_, Self>, TlsFileError> {
        let Some(client) = &self.client else { return Ok(Cow::Borrowed(self)) };
        if client.certificate.parameter.is_none() {
            return Ok(Cow::Owned(Self { client: None, ..self.clone() }));
        }
        let own: Vec<_> = own.iter().flat_map(|own| [&own.certificate, &own.key]).collect();
        let named = [&client.certificate, &client.key];
        match named.into_iter().find(|file| own.iter().any(|own| file.is_same_file(own))) {
            Some(file) => Err(file.refused(FileProblem::Operators)),
            None => Ok(Cow::Borrowed(self)),
        }
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
