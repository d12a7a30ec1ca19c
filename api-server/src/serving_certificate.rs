//! The serving certificate: read from files, or issued and renewed by this server itself.

mod files;
mod managed;
mod rotation;
mod store;
mod x509;

use std::sync::Arc;

use arc_swap::ArcSwap;
use coffer_kubernetes::KubeConnection;
use rustls::ServerConfig;

use crate::config::CertificateSource;

pub(crate) use files::CertificateFileError;

/// The certificate that new connections are served with, and what replaces it in time.
pub(crate) struct ServingCertificate {
    config: Arc<ArcSwap<ServerConfig>>,
    updater: Updater,
}

enum Updater {
    Files(files::CertificateFiles),
    Managed(Box<managed::ManagedCertificate>),
}

impl ServingCertificate {
    /// Returns the first certificate. A certificate that this server issues itself is tried for
    /// until there is one.
    ///
    /// # Errors
    /// Certificate files cannot be used.
    pub(crate) async fn first(
        source: CertificateSource,
        connection: &KubeConnection,
    ) -> Result<Self, CertificateFileError> {
        match source {
            CertificateSource::Files { certificate, key } => {
                let mut files = files::CertificateFiles::new(certificate, key);
                let config = files.read()?;
                Ok(Self { config: Arc::new(ArcSwap::new(config)), updater: Updater::Files(files) })
            }
            CertificateSource::Managed { secret, service } => {
                let mut managed = managed::ManagedCertificate::new(connection, secret, &service);
                let config = managed.first().await;
                Ok(Self {
                    config: Arc::new(ArcSwap::new(config)),
                    updater: Updater::Managed(Box::new(managed)),
                })
            }
        }
    }

    /// Returns the TLS configuration for new connections, which changes with the certificate.
    pub(crate) fn config(&self) -> Arc<ArcSwap<ServerConfig>> {
        Arc::clone(&self.config)
    }

    /// Replaces the certificate in time, until the future is dropped.
    pub(crate) async fn follow(self) {
        match self.updater {
            Updater::Files(files) => files.follow(&self.config).await,
            Updater::Managed(managed) => managed.follow(&self.config).await,
        }
    }
}
