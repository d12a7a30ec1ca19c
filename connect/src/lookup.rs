//! Lookup of host names.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;

/// A lookup in progress.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Looks up host names. An implementation may limit how many lookups run at once.
pub trait Resolve: Send + Sync {
    /// Looks up the addresses of a name. Their port is not used.
    fn resolve(&self, host: &str) -> Resolving;
}

/// Looks up names as the system does, in a thread for each lookup.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl SystemResolver {
    /// Looks up a name, and waits for it. The lookup cannot be ended.
    ///
    /// # Errors
    /// What the system's resolver reports.
    pub fn resolve_blocking(host: &str) -> io::Result<Vec<SocketAddr>> {
        Ok((host, 0).to_socket_addrs()?.collect())
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str) -> Resolving {
        let host = host.to_owned();
        Box::pin(async move {
            tokio::task::spawn_blocking(move || Self::resolve_blocking(&host))
                .await
                .map_err(io::Error::other)?
        })
    }
}
