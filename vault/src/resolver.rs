//! Looks up host names, in a number of threads that namespaces share. A lookup that hangs cannot be
//! ended, so that without limits one namespace's lookups would take all threads.

use std::io;

use coffer_connect::{Resolve, Resolving, SystemResolver};
use coffer_shares::{Priority, Shares};

/// Number of lookups in progress, which namespaces share.
const LOOKUPS_AT_ONCE: usize = 32;

/// Looks up the hosts of one target.
pub(crate) struct Resolver {
    /// Lookups in progress, of all targets.
    lookups: Shares,
    tenant: String,
}

impl Resolver {
    /// Returns the lookups in progress of all targets.
    pub(crate) fn lookups() -> Shares {
        Shares::new(LOOKUPS_AT_ONCE)
    }

    /// Returns the resolver of a target that this namespace named.
    pub(crate) fn new(lookups: Shares, tenant: &str) -> Self {
        Self { lookups, tenant: tenant.to_owned() }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, host: &str) -> Resolving {
        let (lookups, tenant, host) = (self.lookups.clone(), self.tenant.clone(), host.to_owned());
        Box::pin(async move {
            let turn = lookups.take(&tenant, 1, Priority::Common).await.map_err(io::Error::other)?;
            let lookup = tokio::task::spawn_blocking(move || {
                // until the system answers, even if nobody waits any more
                let _turn = turn;
                SystemResolver::resolve_blocking(&host)
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}
