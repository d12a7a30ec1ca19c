//! A Vault server as one class sees it, and the connections to it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::http::HeaderValue;
use reqwest::dns::{Name, Resolve, Resolving};
use reqwest::{Client, NoProxy, Proxy, redirect};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::rate::RateLimiter;
use super::tls::Stamp;
use super::{Address, Tls};
use crate::settings::{self, Settings};
use crate::{Error, ErrorKind, root_cause};

/// What makes two classes share connections: the server, and how it is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// The server.
    pub address: Address,
    /// TLS towards it.
    pub tls: Tls,
}

/// Reads in progress against one target; more wait. It bounds memory, and each target has its own.
const READS_AT_ONCE: usize = 32;

/// Renewals in flight at once, as many that failed before, and as many revocations: few, for reads go first.
const UPKEEP_AT_ONCE: usize = 8;

/// Requests in flight to one target; more wait.
const REQUESTS_AT_ONCE: usize = 32;

/// Connections kept open between requests.
const IDLE_CONNECTIONS: usize = 16;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of answers held in memory at once, over all targets, and those of one: a Vault that announces much and sends
/// little, or sends without end, takes only its own.
const BYTES_IN_FLIGHT: usize = 32 << 20;
pub(super) const BYTES_OF_ONE: usize = 12 << 20;

/// Targets that are kept; classes may name any address.
const MAX_TARGETS: usize = 128;

/// The connections to one target, and its limits.
pub(crate) struct TargetHandle {
    pub(crate) target: Target,
    pub(super) client: Client,
    pub(super) base: String,
    /// The `Host` to send where the URL's host is another name, the one that TLS is verified for.
    pub(super) host: Option<HeaderValue>,
    pub(super) follow_redirects: bool,
    pub(super) max_retries: usize,
    pub(super) request_timeout: Duration,
    pub(super) rate: Option<RateLimiter>,
    pub(crate) limits: Arc<Limits>,
    /// Memory for the bodies of all targets.
    pub(super) all_bytes: Arc<Semaphore>,
    stamp: Stamp,
}

/// What one server is limited to, by whatever settings it is reached.
pub(crate) struct Limits {
    pub(crate) reads: Semaphore,
    /// Renewals of tokens and leases.
    pub(crate) renewals: Semaphore,
    /// Revocations of what sessions hold.
    pub(crate) revocations: Semaphore,
    /// Those that failed before: an engine that hangs holds up none of the others.
    pub(crate) retries: Semaphore,
    pub(super) requests: Semaphore,
    /// Memory for bodies.
    pub(super) bytes: Arc<Semaphore>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reads: Semaphore::new(READS_AT_ONCE),
            renewals: Semaphore::new(UPKEEP_AT_ONCE),
            revocations: Semaphore::new(UPKEEP_AT_ONCE),
            retries: Semaphore::new(UPKEEP_AT_ONCE),
            requests: Semaphore::new(REQUESTS_AT_ONCE),
            bytes: Arc::new(Semaphore::new(BYTES_OF_ONE)),
        }
    }
}

/// All targets in use.
pub(crate) struct Targets {
    settings: Settings,
    bytes: Arc<Semaphore>,
    known: Mutex<HashMap<Target, (Arc<TargetHandle>, Instant)>>,
}

impl Targets {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, bytes: Arc::new(Semaphore::new(BYTES_IN_FLIGHT)), known: Mutex::default() }
    }

    /// The connections to `target`: made at first use, and made anew when a file behind its TLS changed.
    pub(crate) fn handle(&self, target: &Target) -> Result<Arc<TargetHandle>, Error> {
        let stamp = target.tls.stamp();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((handle, used)) = known.get_mut(target)
            && handle.stamp == stamp
        {
            *used = Instant::now();
            return Ok(Arc::clone(handle));
        }
        // the operator's own Vault always has a place, whatever addresses classes name
        if known.len() >= MAX_TARGETS && target.address != self.settings.address {
            forget_idle(&mut known)?;
        }
        let same_server = known.values().find(|(handle, _)| handle.target.address == target.address);
        let limits = same_server.map(|(handle, _)| Arc::clone(&handle.limits)).unwrap_or_default();
        let handle = Arc::new(self.connect(target, stamp, limits)?);
        known.insert(target.clone(), (Arc::clone(&handle), Instant::now()));
        Ok(handle)
    }

    fn connect(&self, target: &Target, stamp: Stamp, limits: Arc<Limits>) -> Result<TargetHandle, Error> {
        let settings = &self.settings;
        let mut builder = Client::builder()
            .user_agent(concat!("coffer/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(Duration::from_secs(90))
            .no_proxy();
        let mut base = target.address.base();
        let mut host = None;
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
                    // HTTP/2 takes the authority from the URL; HTTP/1.1 lets the header say it
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
            // no need to read the system's authorities
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| {
            Error::new(
                ErrorKind::Misconfigured,
                format!("cannot set up TLS for {}: {}", target.address, root_cause(&error)),
            )
        })?;
        Ok(TargetHandle {
            target: target.clone(),
            client,
            base,
            host,
            follow_redirects: settings.follow_redirects,
            max_retries: settings.max_retries,
            request_timeout: settings.request_timeout,
            rate: settings.rate_limit.map(RateLimiter::new),
            limits,
            all_bytes: Arc::clone(&self.bytes),
            stamp,
        })
    }
}

/// Makes room by the target that was used longest ago and is not in use.
fn forget_idle(known: &mut HashMap<Target, (Arc<TargetHandle>, Instant)>) -> Result<(), Error> {
    let idle = known.iter().filter(|(_, (handle, _))| Arc::strong_count(handle) == 1);
    let oldest = idle.min_by_key(|(_, (_, used))| *used).map(|(target, _)| target.clone());
    match oldest {
        Some(target) => {
            known.remove(&target);
            Ok(())
        }
        None => Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "{MAX_TARGETS} Vault addresses are in use at once on this node; the mount is tried again"
            ),
        )),
    }
}

fn proxies(proxy: Option<&settings::Proxy>) -> Result<Vec<Proxy>, Error> {
    let Some(settings::Proxy { http, https, except }) = proxy else {
        return Ok(Vec::new());
    };
    // as in Go, this host is never reached by a proxy that is for everything
    let except = except
        .as_ref()
        .and_then(|except| NoProxy::from_string(&format!("{except},localhost,127.0.0.0/8,::1")));
    let http = http.as_ref().map(Proxy::http);
    let https = https.as_ref().map(Proxy::https);
    http.into_iter()
        .chain(https)
        .map(|proxy| proxy.map(|proxy| proxy.no_proxy(except.clone())))
        .collect::<Result<_, _>>()
        .map_err(|_| {
            Error::new(
                ErrorKind::Misconfigured,
                "the proxy of the environment (VAULT_PROXY_ADDR, HTTPS_PROXY…) is no URL",
            )
        })
}

/// Whether the certificate is to be verified for another name than the URL's host.
fn needs_alias(url: &reqwest::Url, name: &str) -> bool {
    url.scheme() == "https" && url.host_str().is_none_or(|host| !host.eq_ignore_ascii_case(name))
}

/// The URL with the name to verify as its host, and the real host to connect to.
fn renamed(url: &reqwest::Url, name: &str) -> Result<(String, reqwest::Url), Error> {
    let real = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    if name.parse::<IpAddr>().is_ok() {
        return Err(Error::class(format!(
            "the TLS server name {name:?} is an IP address: use it as vaultAddress"
        )));
    }
    let mut renamed = url.clone();
    renamed
        .set_host(Some(name))
        .map_err(|_| Error::class(format!("the TLS server name {name:?} is no host name")))?;
    Ok((real, renamed))
}

fn authority(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Resolves the name that TLS is verified for to the real host's addresses, every other name as usual.
struct Alias {
    name: String,
    real: String,
}

impl Resolve for Alias {
    fn resolve(&self, name: Name) -> Resolving {
        let host = if name.as_str() == self.name { self.real.clone() } else { name.as_str().to_owned() };
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs)
        })
    }
}
