//! What holds for the connections to every Vault server.

use std::path::PathBuf;
use std::time::Duration;

use crate::Address;

/// Settings of the connections to Vault servers.
#[derive(Debug, Clone)]
pub struct ConnectionSettings {
    /// The operator's own Vault. It always has a place among the targets, whatever addresses classes name.
    pub own_address: Address,
    /// The time for one request.
    pub request_timeout: Duration,
    /// How often a GET or LIST is tried again.
    pub max_retries: usize,
    /// Requests a second to one target.
    pub rate_limit: Option<RateLimit>,
    /// Whether Vault's redirects are followed.
    pub follow_redirects: bool,
    /// HTTP proxy in front of Vault.
    pub proxy: Option<Proxy>,
    /// Directories whose files only the operator's TLS settings may name.
    pub protected_directories: Vec<PathBuf>,
}

/// A token bucket: `per_second` requests, at most `burst` at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    /// Requests a second.
    pub per_second: f64,
    /// Requests at once.
    pub burst: u32,
}

/// An HTTP proxy, and the hosts that are reached without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The proxy for `http://` addresses.
    pub http: Option<String>,
    /// The proxy for `https://` addresses.
    pub https: Option<String>,
    /// `NO_PROXY`, to which this host is added; none where the proxy is for Vault alone.
    pub except: Option<String>,
}
