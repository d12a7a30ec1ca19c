//! The serving certificate: from files, or made and kept by this server itself.

mod authority;
mod files;
mod managed;
mod rotation;
mod store;

use std::sync::Arc;

use arc_swap::ArcSwap;
use kube::Client;
use rustls::ServerConfig;

use crate::config::CertificateSource;

/// The certificate that new connections are served with, and what keeps it current.
pub(crate) struct Certificate {
    config: Arc<ArcSwap<ServerConfig>>,
    keeper: Keeper,
}

enum Keeper {
    Files(files::Files),
    Managed(Box<managed::Managed>),
}

impl Certificate {
    /// The first certificate; with one of its own it goes on trying until there is one.
    ///
    /// # Errors
    /// Files that cannot be used.
    pub(crate) async fn first(
        source: CertificateSource,
        client: Client,
        namespace: &str,
    ) -> Result<Self, files::BadFiles> {
        match source {
            CertificateSource::Files { certificate, key } => {
                let mut files = files::Files::new(certificate, key);
                let config = files.read()?;
                Ok(Self { config: Arc::new(ArcSwap::new(config)), keeper: Keeper::Files(files) })
            }
            CertificateSource::Managed { secret, service } => {
                let mut managed = managed::Managed::new(client, namespace, secret, &service);
                let config = managed.first().await;
                Ok(Self {
                    config: Arc::new(ArcSwap::new(config)),
                    keeper: Keeper::Managed(Box::new(managed)),
                })
            }
        }
    }

    /// The configuration for new connections, as it will be at any time.
    pub(crate) fn config(&self) -> Arc<ArcSwap<ServerConfig>> {
        Arc::clone(&self.config)
    }

    /// Keeps the certificate current until it is dropped.
    pub(crate) async fn keep(self) {
        match self.keeper {
            Keeper::Files(files) => files.follow(&self.config).await,
            Keeper::Managed(managed) => managed.follow(&self.config).await,
        }
    }
}

pub(crate) use files::BadFiles;
