//! A certificate in files, read again when they change: cert-manager and OpenShift's service CA keep one so.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use coffer_provider::Secret;
use rustls::ServerConfig;
use tokio::time::sleep;

use crate::tls::{BadCertificate, server_config};

/// How often they are looked at. kubelet itself takes up to a minute to change them.
const LOOK: Duration = Duration::from_secs(5);

/// The files, and what they held last.
pub(crate) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    last: (Vec<u8>, Secret),
}

/// Files that cannot be served with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadFiles {
    #[error("{path}: {error}", path = path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{certificate} and {key}: {error}", certificate = certificate.display(), key = key.display())]
    Unusable { certificate: PathBuf, key: PathBuf, error: BadCertificate },
}

impl Files {
    pub(crate) fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self { certificate, key, last: (Vec::new(), Secret::default()) }
    }

    /// What the files say now.
    ///
    /// # Errors
    /// They cannot be read or used; while they are being replaced they may not belong together.
    pub(crate) fn read(&mut self) -> Result<Arc<ServerConfig>, BadFiles> {
        self.last = self.contents()?;
        let (certificate, key) = &self.last;
        server_config(certificate, key.expose()).map_err(|error| BadFiles::Unusable {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            error,
        })
    }

    /// Follows the files; what cannot be used leaves the last certificate in place.
    pub(crate) async fn follow(mut self, config: &ArcSwap<ServerConfig>) {
        loop {
            sleep(LOOK).await;
            match self.contents() {
                Ok(contents) if contents == self.last => {}
                Ok(_) => match self.read() {
                    Ok(new) => {
                        config.store(new);
                        tracing::info!("the serving certificate was replaced");
                    }
                    Err(error) => tracing::warn!("the serving certificate stays: {error}"),
                },
                Err(error) => tracing::warn!("the serving certificate stays: {error}"),
            }
        }
    }

    fn contents(&self) -> Result<(Vec<u8>, Secret), BadFiles> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| BadFiles::Unreadable { path: path.clone(), error })
        };
        Ok((read(&self.certificate)?, Secret::new(read(&self.key)?)))
    }
}
