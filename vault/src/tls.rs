//! TLS settings of a Vault target: authorities, client certificate, server name.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use coffer_connect::{
    CertificateBundle, ClientIdentity, ClientIdentityProblem, ServerTrust, TrustedAuthorities, client_config,
};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::TargetError;
use crate::tls_directory::files_in;
use crate::tls_file::{FileProblem, TlsFile, TlsFileError, read, resolve};

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
    /// A directory whose files, and those of the directories in it, are PEM certificates; or one
    /// such file, as in Vault's client.
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

impl Tls {
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

    /// Returns the configuration of TLS connections. `protected` are the directories whose files a
    /// class must not name.
    ///
    /// # Errors
    /// [`TargetError`], if a class names a protected file, or a file cannot be used.
    pub(crate) fn config(&self, protected: &[PathBuf]) -> Result<ClientConfig, TargetError> {
        let identity = self.client.as_ref().map(|client| client.read(protected)).transpose()?;
        let trust = if self.skip_verify {
            ServerTrust::Anything
        } else {
            ServerTrust::Authorities(self.authorities.read(protected)?)
        };
        Ok(client_config(trust, identity))
    }
}

impl Authorities {
    /// Reads the certificates. Those of the system are loaded once in the life of the process.
    fn read(&self, protected: &[PathBuf]) -> Result<Arc<TrustedAuthorities>, TargetError> {
        let certificates = match self {
            Self::System => return Ok(TrustedAuthorities::system()),
            Self::File(file) => read_certificates(file, protected)?,
            Self::Directory(directory) => read_directory(directory, protected)?,
            Self::Pem(pem) => {
                let bundle = CertificateBundle::read(pem.as_bytes()).map_err(TargetError::NoPem)?;
                warn_of_skipped(&bundle, "VAULT_CACERT_BYTES");
                bundle.certificates
            }
        };
        Ok(Arc::new(TrustedAuthorities::configured(certificates)))
    }
}

impl ClientCertificate {
    fn read(&self, protected: &[PathBuf]) -> Result<ClientIdentity, TlsFileError> {
        let certificate = read(&self.certificate, protected)?;
        let key = read(&self.key, protected)?;
        ClientIdentity::read(certificate.expose(), key.expose()).map_err(|problem| match &problem {
            ClientIdentityProblem::Key(_) => self.key.refused(problem),
            _ => self.certificate.refused(problem),
        })
    }
}

/// Reads the files of a directory and of those in it; or the file itself, if it is one.
fn read_directory(
    directory: &TlsFile,
    protected: &[PathBuf],
) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let path = resolve(directory, protected)?;
    let files = files_in(&path).map_err(|problem| directory.refused(problem))?;
    let mut all = Vec::new();
    for path in files {
        let file = TlsFile { path, parameter: directory.parameter.clone() };
        all.extend(read_certificates(&file, protected)?);
    }
    if all.is_empty() { Err(directory.refused(FileProblem::EmptyDirectory)) } else { Ok(all) }
}

fn read_certificates(
    file: &TlsFile,
    protected: &[PathBuf],
) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let pem = read(file, protected)?;
    let bundle = CertificateBundle::read(pem.expose()).map_err(|problem| file.refused(problem))?;
    warn_of_skipped(&bundle, &file.path.to_string_lossy());
    Ok(bundle.certificates)
}

/// Maximum number of skipped blocks of a file that are logged.
const MAX_WARNINGS: usize = 8;

fn warn_of_skipped(bundle: &CertificateBundle, file: &str) {
    for skipped in bundle.skipped.iter().take(MAX_WARNINGS) {
        tracing::warn!(
            file,
            block = skipped.number,
            reason = %skipped.problem,
            "a block of a file of certificate authorities is skipped"
        );
    }
}
