//! Settings that apply to the connections to all Vault servers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coffer_connect::ProxyRules;

use crate::{ClientCertificate, OperatorServers};

/// Settings of the connections to all Vault servers.
#[derive(Debug, Clone)]
pub struct ConnectionSettings {
    /// The operator's servers. The configured one is never refused, however many addresses classes
    /// name.
    pub operator: OperatorServers,
    /// The client certificate of the process, which only the operator's servers see.
    pub own_certificate: Option<ClientCertificate>,
    /// Timeout of one request.
    pub request_timeout: Duration,
    /// Maximum number of retries of a failed request.
    pub max_retries: usize,
    /// Limit of the requests to one target; none is no limit.
    pub rate_limit: Option<RateLimit>,
    /// Whether redirects by Vault are followed.
    pub follow_redirects: bool,
    /// The proxies for requests to Vault.
    pub proxies: Arc<ProxyRules>,
    /// Directories whose files a class's TLS parameters must not name.
    pub protected_directories: Vec<PathBuf>,
}

/// A rate limit by a token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    /// Requests per second.
    pub per_second: f64,
    /// Maximum number of requests at once.
    pub burst: u32,
}
