//! TLS settings of a Vault target: authorities, client certificate, server name.

use std::borrow::Cow;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
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

    /// Returns the configuration of TLS connections. `protected` are the directories whose files a
    /// class must not name.
    ///
    /// # Errors
    /// [`TlsError`], if a class names a protected file, or a file cannot be read or is not PEM.
    pub(crate) fn config(&self, protected: &[PathBuf]) -> Result<ClientConfig, TlsError> {
        let builder = ClientConfig::builder();
        let certificates = match &self.authorities {
            Authorities::System => None,
            Authorities::File(file) => Some(read_certificates(file, protected)?),
            Authorities::Pem(pem) => Some(certificates(pem.as_bytes()).ok_or(TargetError::NoPem)?),
            Authorities::Directory(directory) => Some(read_directory(directory, protected)?),
        };
        let builder = if self.skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(NoVerification::default()))
        } else if let Some(certificates) = certificates {
            let mut roots = RootCertStore::empty();
            for certificate in certificates {
                roots.add(certificate)?;
            }
            builder.with_root_certificates(roots)
        } else {
            builder.with_platform_verifier()?
        };
        Ok(match &self.client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let (chain, key) = read_identity(client, protected)?;
                builder.with_client_auth_cert(chain, key)?
            }
        })
    }
}

/// Why there is no configuration of TLS connections.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

impl From<TlsFileError> for TlsError {
    fn from(error: TlsFileError) -> Self {
        Self::Target(error.into())
    }
}

type ChainAndKey = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read_identity(client: &ClientCertificate, protected: &[PathBuf]) -> Result<ChainAndKey, TlsFileError> {
    let certificate = read(&client.certificate, protected)?;
    let key = read(&client.key, protected)?;
    // the library's error is dropped, since the text may quote the key
    let refused = || client.certificate.refused(FileProblem::NoIdentity { key: client.key.path.clone() });
    let chain = certificates(certificate.expose()).ok_or_else(refused)?;
    Ok((chain, PrivateKeyDer::from_pem_slice(key.expose()).map_err(|_| refused())?))
}

fn read_directory(
    directory: &TlsFile,
    protected: &[PathBuf],
) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
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

fn read_certificates(
    file: &TlsFile,
    protected: &[PathBuf],
) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let pem = read(file, protected)?;
    certificates(pem.expose()).ok_or_else(|| file.refused(FileProblem::NoCertificate))
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    certificates.ok().filter(|certificates| !certificates.is_empty())
}

#[derive(Debug)]
struct NoVerification(rustls::crypto::WebPkiSupportedAlgorithms);

impl Default for NoVerification {
    fn default() -> Self {
        Self(rustls::crypto::ring::default_provider().signature_verification_algorithms)
    }
}

impl rustls::client::danger::ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.supported_schemes()
    }
}
