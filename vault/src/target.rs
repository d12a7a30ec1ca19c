//! Vault targets (a server with TLS settings), their connections and their limits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, Url, redirect};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::proxy::proxies;
use crate::rate::RateLimiter;
use crate::tls::Stamp;
use crate::{Address, ConnectionSettings, RequestObserver, TargetError, Tls};

/// A Vault server with TLS settings. Classes with the same target share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// The server.
    pub address: Address,
    /// TLS settings for connections to the server.
    pub tls: Tls,
}

/// Maximum number of reads in progress at one server, which bounds memory. Further reads wait.
const READS_AT_ONCE: usize = 32;

/// Maximum number of renewals in progress at one server; the same for revocations and for retries
/// of both. The number is low, since reads have priority.
const BACKGROUND_AT_ONCE: usize = 8;

/// Maximum number of requests in progress at one server. Further requests wait.
const REQUESTS_AT_ONCE: usize = 32;

/// Maximum number of idle connections to one server.
const IDLE_CONNECTIONS: usize = 16;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum bytes of bodies in memory, for all servers together.
const BYTES_OF_ALL: usize = 32 << 20;

/// Maximum bytes of bodies in memory, for one server. A server that announces long bodies, or sends
/// without end, cannot take the memory of the others.
const BYTES_OF_ONE: usize = 12 << 20;

/// Maximum number of targets with connections. Classes may name any address.
const MAX_TARGETS: usize = 128;

/// The connections to one target, and the limits of the server.
pub struct TargetHandle {
    /// The target.
    pub target: Target,
    /// The limits of the target's server.
    pub limits: Arc<Limits>,
    pub(crate) client: Client,
    pub(crate) base: String,
    /// The `Host` header, if the host in the URL is the TLS server name and not the real host.
    pub(crate) host: Option<HeaderValue>,
    pub(crate) follow_redirects: bool,
    pub(crate) max_retries: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) rate: Option<RateLimiter>,
    pub(crate) observer: Arc<dyn RequestObserver>,
    /// Bytes for the bodies of all servers.
    pub(crate) all_bytes: Arc<Semaphore>,
    stamp: Stamp,
}

/// The limits of one server, shared by all targets with its address.
pub struct Limits {
    /// Reads of classes.
    pub reads: Semaphore,
    /// Renewals of tokens and leases.
    pub renewals: Semaphore,
    /// Revocations of tokens.
    pub revocations: Semaphore,
    /// Retries of renewals and revocations. These may hang, and must not delay first tries.
    pub retries: Semaphore,
    pub(crate) requests: Semaphore,
    /// Bytes for bodies.
    pub(crate) bytes: Arc<Semaphore>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reads: Semaphore::new(READS_AT_ONCE),
            renewals: Semaphore::new(BACKGROUND_AT_ONCE),
            revocations: Semaphore::new(BACKGROUND_AT_ONCE),
            retries: Semaphore::new(BACKGROUND_AT_ONCE),
            requests: Semaphore::new(REQUESTS_AT_ONCE),
            bytes: Arc::new(Semaphore::new(BYTES_OF_ONE)),
        }
    }
}

impl Limits {
    /// Returns whether no request is in progress at the server.
    fn are_unused(&self) -> bool {
        let background = [&self.renewals, &self.revocations, &self.retries];
        self.reads.available_permits() == READS_AT_ONCE
            && self.requests.available_permits() == REQUESTS_AT_ONCE
            && background.iter().all(|limit| limit.available_permits() == BACKGROUND_AT_ONCE)
    }
}

/// The targets in use, each with its connections.
pub struct Targets {
    settings: ConnectionSettings,
    observer: Arc<dyn RequestObserver>,
    bytes: Arc<Semaphore>,
    known: Mutex<HashMap<Target, (Arc<TargetHandle>, Instant)>>,
}

impl Targets {
    /// Returns an empty set of targets. `observer` observes every request.
    #[must_use]
    pub fn new(settings: ConnectionSettings, observer: Arc<dyn RequestObserver>) -> Self {
        let bytes = Arc::new(Semaphore::new(BYTES_OF_ALL));
        Self { settings, observer, bytes, known: Mutex::default() }
    }

    /// Returns the connections to `target`. The connections are set up at first use, and again
    /// after a file that the TLS settings name changed.
    ///
    /// # Errors
    /// [`TargetError`], if the settings are wrong or too many targets are in use.
    pub fn handle(&self, target: &Target) -> Result<Arc<TargetHandle>, TargetError> {
        let stamp = target.tls.stamp();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((handle, used)) = known.get_mut(target)
            && handle.stamp == stamp
        {
            *used = Instant::now();
            return Ok(Arc::clone(handle));
        }
        // the operator's own Vault is never refused, however many addresses classes name
        if known.len() >= MAX_TARGETS && target.address != self.settings.own_address {
            evict_unused(&mut known)?;
        }
        let same_server = known.values().find(|(handle, _)| handle.target.address == target.address);
        let limits = same_server.map(|(handle, _)| Arc::clone(&handle.limits)).unwrap_or_default();
        let handle = Arc::new(self.connect(target, stamp, limits)?);
        known.insert(target.clone(), (Arc::clone(&handle), Instant::now()));
        Ok(handle)
    }

    fn connect(
        &self,
        target: &Target,
        stamp: Stamp,
        limits: Arc<Limits>,
    ) -> Result<TargetHandle, TargetError> {
        let settings = &self.settings;
        let (mut builder, mut base, mut host) = (client(), target.address.base(), None);
        match &target.address {
            Address::Unix(path) => builder = builder.unix_socket(path.as_path()),
            Address::Url(url) => {
                for proxy in proxies(settings.proxy.as_ref())? {
                    builder = builder.proxy(proxy);
                }
                if let Some(name) = target.tls.server_name.as_deref().filter(|name| needs_alias(url, name)) {
                    let (real, renamed) = renamed(url, name)?;
                    base = Address::Url(renamed).base();
                    host = HeaderValue::from_str(&authority(url)).ok();
                    // HTTP/2 takes the authority from the URL, HTTP/1.1 from the Host header
                    builder = builder
                        .dns_resolver(Arc::new(Alias { name: name.to_lowercase(), real }))
                        .http1_only();
                }
                if url.scheme() == "https" {
                    builder = target.tls.apply(builder, &settings.protected_directories)?;
                }
            }
        }
        if !base.starts_with("https") {
            // without TLS there is no need to load the system's authorities
            builder = builder.tls_certs_only([]);
        }
        let setup = |source| TargetError::Setup { address: target.address.clone(), source };
        Ok(TargetHandle {
            target: target.clone(),
            client: builder.build().map_err(setup)?,
            base,
            host,
            follow_redirects: settings.follow_redirects,
            max_retries: settings.max_retries,
            request_timeout: settings.request_timeout,
            rate: settings.rate_limit.map(RateLimiter::new),
            observer: Arc::clone(&self.observer),
            limits,
            all_bytes: Arc::clone(&self.bytes),
            stamp,
        })
    }
}

fn client() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("coffer/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(Duration::from_secs(90))
        .no_proxy()
}

/// Removes the least recently used target, of those whose server has no request in progress.
fn evict_unused(known: &mut HashMap<Target, (Arc<TargetHandle>, Instant)>) -> Result<(), TargetError> {
    let unused = known.iter().filter(|(_, (handle, _))| handle.limits.are_unused());
    let oldest = unused.min_by_key(|(_, (_, used))| *used).map(|(target, _)| target.clone());
    let target = oldest.ok_or(TargetError::TooMany(MAX_TARGETS))?;
    known.remove(&target);
    Ok(())
}

/// Returns whether the certificate is verified for another name than the URL's host.
fn needs_alias(url: &Url, name: &str) -> bool {
    url.scheme() == "https" && url.host_str().is_none_or(|host| !host.eq_ignore_ascii_case(name))
}

/// Returns the real host to connect to, and the URL with the TLS server name as host.
fn renamed(url: &Url, name: &str) -> Result<(String, Url), TargetError> {
    let real = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    if name.parse::<IpAddr>().is_ok() {
        return Err(TargetError::ServerNameIsAddress(name.to_owned()));
    }
    let mut renamed = url.clone();
    renamed.set_host(Some(name)).map_err(|_| TargetError::ServerNameInvalid(name.to_owned()))?;
    Ok((real, renamed))
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Resolves the TLS server name to the addresses of the real host, and every other name as usual.
struct Alias {
    name: String,
    real: String,
}

impl Resolve for Alias {
    fn resolve(&self, name: Name) -> Resolving {
        let host = if name.as_str() == self.name { self.real.clone() } else { name.as_str().to_owned() };
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
