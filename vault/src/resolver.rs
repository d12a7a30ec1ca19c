//! Looks up host names, in a number of threads that namespaces share. A lookup that hangs cannot be
//! ended, so that without limits one namespace's lookups would take all threads.

use std::io;
use std::net::ToSocketAddrs;

use coffer_shares::{Priority, Shares};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Number of lookups in progress, which namespaces share.
const LOOKUPS_AT_ONCE: usize = 32;

/// Looks up the hosts of one target.
pub(crate) struct Resolver {
    /// Lookups in progress, of all targets.
    lookups: Shares,
    tenant: String,
    alias: Option<Alias>,
}

/// The TLS server name, and the host whose addresses it gets.
pub(crate) struct Alias {
    /// In lower case.
    pub(crate) name: String,
    pub(crate) real: String,
}

impl Resolver {
    /// Returns the lookups in progress of all targets.
    pub(crate) fn lookups() -> Shares {
        Shares::new(LOOKUPS_AT_ONCE)
    }

    /// Returns the resolver of a target that this namespace named.
    pub(crate) fn new(lookups: Shares, tenant: &str, alias: Option<Alias>) -> Self {
        Self { lookups, tenant: tenant.to_owned(), alias }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let alias = self.alias.as_ref().filter(|alias| alias.name == name.as_str());
        let host = alias.map_or_else(|| name.as_str().to_owned(), |alias| alias.real.clone());
        let (lookups, tenant) = (self.lookups.clone(), self.tenant.clone());
        Box::pin(async move {
            let turn = lookups.take(&tenant, 1, Priority::Common).await?;
            let lookup = tokio::task::spawn_blocking(move || {
                // until the system answers, even if nobody waits any more
                let _turn = turn;
                Ok::<_, io::Error>((host.as_str(), 0).to_socket_addrs()?.collect::<Vec<_>>())
            });
            Ok(Box::new(lookup.await??.into_iter()) as Addrs)
        })
    }
}
