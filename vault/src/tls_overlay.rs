//! TLS settings of one source over those of a weaker one.

use crate::tls::{Authorities, ClientCertificate, Tls};
use crate::tls_file::TlsFile;

/// TLS settings that one source sets: the environment, the command line or a class. A setting that
/// is `None` is not set there.
#[derive(Debug, Default)]
pub struct TlsOverlay {
    /// Replaces the authorities.
    pub authorities: Option<Authorities>,
    /// Replaces the server name.
    pub server_name: Option<String>,
    /// Replaces client certificate and key, both at once.
    pub client: Option<ClientCertificate>,
    /// Replaces whether any certificate is accepted.
    pub skip_verify: Option<bool>,
}

/// Which half of a client certificate is missing beside the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientCertificateError {
    /// There is a key without its certificate.
    #[error("missing beside the key")]
    NoCertificate,
    /// There is a certificate without its key.
    #[error("missing beside the certificate")]
    NoKey,
}

impl TlsOverlay {
    /// Returns `base` with everything that is set here.
    #[must_use]
    pub fn over(self, base: Tls) -> Tls {
        Tls {
            authorities: self.authorities.unwrap_or(base.authorities),
            server_name: self.server_name.or(base.server_name),
            client: self.client.or(base.client),
            skip_verify: self.skip_verify.unwrap_or(base.skip_verify),
        }
    }
}

impl Authorities {
    /// Returns the authorities in a file or, where no file is set, in a directory; `None` where
    /// neither is set.
    #[must_use]
    pub fn from_files(file: Option<TlsFile>, directory: Option<TlsFile>) -> Option<Self> {
        file.map(Self::File).or(directory.map(Self::Directory))
    }
}

impl ClientCertificate {
    /// Returns the client certificate of two files; `None` where neither is set.
    ///
    /// # Errors
    /// One of the two is set without the other.
    pub fn from_files(
        certificate: Option<TlsFile>,
        key: Option<TlsFile>,
    ) -> Result<Option<Self>, ClientCertificateError> {
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(Some(Self { certificate, key })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(ClientCertificateError::NoCertificate),
            (Some(_), None) => Err(ClientCertificateError::NoKey),
        }
    }
}
