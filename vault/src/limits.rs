//! The limits of one Vault server.

use coffer_shares::Shares;

/// Number of reads in progress at one server, which namespaces share. Further reads wait.
const READS_AT_ONCE: usize = 64;

/// Number of renewals in progress at one server, which namespaces share; the same for revocations
/// and for retries of both. The number is low, since reads have priority.
const BACKGROUND_AT_ONCE: usize = 16;

/// Number of requests in progress at one server, which namespaces share. Further requests wait.
const REQUESTS_AT_ONCE: usize = 64;

/// The limits of one server, shared by all targets with its address. Each is divided among
/// namespaces.
pub struct Limits {
    /// Reads of classes.
    pub reads: Shares,
    /// Renewals of tokens and leases.
    pub renewals: Shares,
    /// Revocations of tokens.
    pub revocations: Shares,
    /// Retries of renewals and revocations. These may hang, and must not delay first tries.
    pub retries: Shares,
    pub(crate) requests: Shares,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reads: Shares::new(READS_AT_ONCE),
            renewals: Shares::new(BACKGROUND_AT_ONCE),
            revocations: Shares::new(BACKGROUND_AT_ONCE),
            retries: Shares::new(BACKGROUND_AT_ONCE),
            requests: Shares::new(REQUESTS_AT_ONCE),
        }
    }
}

impl Limits {
    /// Returns whether no request is in progress at the server.
    pub(crate) fn are_unused(&self) -> bool {
        let all = [&self.reads, &self.renewals, &self.revocations, &self.retries, &self.requests];
        all.iter().all(|limit| limit.taken() == 0)
    }
}
