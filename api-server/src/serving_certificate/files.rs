//! A certificate in files, read again when they change: cert-manager and OpenShift's service CA
//! provide such files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use coffer_provider::Secret;
use rustls::ServerConfig;
use tokio::time::sleep;

use crate::server_tls::{ServerTlsError, server_config};

/// Interval at which the files are read. kubelet itself takes up to a minute to change them.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The files, and the contents that were read last.
pub(crate) struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    last: (Vec<u8>, Secret),
}

/// Certificate files that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateFileError {
    #[error("{path}: {source}", path = path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{certificate} and {key}: {source}", certificate = certificate.display(), key = key.display())]
    Unusable { certificate: PathBuf, key: PathBuf, source: ServerTlsError },
}

impl CertificateFiles {
    pub(crate) fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self { certificate, key, last: (Vec::new(), Secret::default()) }
    }

    /// Reads the files and returns the TLS configuration with their contents.
    ///
    /// # Errors
    /// The files cannot be read or used. While they are being replaced they may not belong
    /// together.
    pub(crate) fn read(&mut self) -> Result<Arc<ServerConfig>, CertificateFileError> {
        self.last = self.contents()?;
        let (certificate, key) = &self.last;
        server_config(certificate, key.expose()).map_err(|source| CertificateFileError::Unusable {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            source,
        })
    }

    /// Follows the files until the future is dropped. Unusable files leave the last certificate in
    /// use.
    pub(crate) async fn follow(mut self, config: &ArcSwap<ServerConfig>) {
        loop {
            sleep(CHECK_INTERVAL).await;
            let new = match self.contents() {
                Ok(contents) if contents == self.last => continue,
                Ok(_) => self.read(),
                Err(error) => Err(error),
            };
            match new {
                Ok(new) => {
                    config.store(new);
                    tracing::info!("the serving certificate was replaced");
                }
                Err(error) => tracing::warn!(%error, "the serving certificate cannot be replaced"),
            }
        }
    }

    fn contents(&self) -> Result<(Vec<u8>, Secret), CertificateFileError> {
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|source| CertificateFileError::Unreadable { path: path.clone(), source })
        };
        Ok((read(&self.certificate)?, Secret::new(read(&self.key)?)))
    }
}
