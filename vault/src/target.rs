//! Vault targets (a server with TLS settings), their connections and their limits.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coffer_connect::{
    Connector, Dialer, HttpClient, HttpClientSettings, ProxyRules, ProxyScheme, TlsSettings,
};
use coffer_shares::{Priority, Share, Shares};
use http_body_util::Full;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::limits::Limits;
use crate::others_thread::OthersThread;
use crate::rate::RateLimiter;
use crate::resolver::Resolver;
use crate::tls_stamp::Stamp;
use crate::{Address, ConnectionSettings, HeavyTurns, RequestObserver, TargetError, Tls};

/// A Vault server with TLS settings. Classes with the same target share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// The server.
    pub address: Address,
    /// TLS settings for connections to the server.
    pub tls: Tls,
}

/// Number of requests in progress to all servers that classes name, which namespaces share. The HTTP
/// client buffers 400 KiB of headers before it refuses them, which no account sees.
const REQUESTS_TO_OTHERS: usize = 96;

/// Maximum number of idle connections to the operator's own Vault.
const IDLE_CONNECTIONS: usize = 16;

/// Maximum number of idle connections to another server.
const IDLE_CONNECTIONS_OF_OTHERS: usize = 2;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// When an HTTP/2 connection counts as dead. A Vault without a free processor may take seconds to
/// answer a PING, and a mount has a minute: on a dead connection it loses a quarter of that.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Number of targets with connections, which namespaces share. Classes may name any address.
const MAX_TARGETS: usize = 128;

/// Memory of a target besides its requests, in bytes: authorities, TLS sessions, and what HTTP/2
/// has received and nobody has read yet.
const TARGET_BYTES: usize = 256 << 10;

/// The connections to one target, and the limits of the server.
pub struct TargetHandle {
    /// The target.
    pub target: Target,
    /// The limits of the target's server.
    pub limits: Arc<Limits>,
    /// Whether the server is the operator's.
    pub is_operators: bool,
    pub(crate) client: HttpClient<Full<Bytes>>,
    pub(crate) base: String,
    pub(crate) follow_redirects: bool,
    pub(crate) max_retries: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) rate: Option<RateLimiter>,
    pub(crate) observer: Arc<dyn RequestObserver>,
    /// Whether requests may take the memory that is reserved for the operator's own Vault.
    pub(crate) priority: Priority,
    /// The thread for requests, unless the server is the operator's own Vault.
    pub(crate) others: Option<Arc<OthersThread>>,
    /// Requests in progress to all servers but the operator's own Vault; none for that one.
    pub(crate) requests_to_others: Option<Shares>,
    /// Bytes of memory, for all servers.
    pub(crate) memory: Shares,
    pub(crate) heavy_turns: HeavyTurns,
    stamp: Stamp,
    place: TargetPlace,
}

/// A target's place among all targets, and its memory, of the namespace that named it first.
struct TargetPlace {
    number: Share,
    _memory: Share,
}

/// The targets in use, each with its connections.
pub struct Targets {
    settings: ConnectionSettings,
    observer: Arc<dyn RequestObserver>,
    memory: Shares,
    heavy_turns: HeavyTurns,
    places: Shares,
    lookups: Shares,
    requests_to_others: Shares,
    /// Started for the first target that is not the operator's own Vault.
    others: Mutex<Option<Arc<OthersThread>>>,
    known: Mutex<KnownTargets>,
}

/// Targets with their connections, and when each was last used.
type KnownTargets = HashMap<Target, (Arc<TargetHandle>, Instant)>;

impl Targets {
    /// Returns an empty set of targets. `observer` observes every request, and `memory` are the
    /// bytes that namespaces share.
    #[must_use]
    pub fn new(
        settings: ConnectionSettings,
        observer: Arc<dyn RequestObserver>,
        memory: Shares,
        heavy_turns: HeavyTurns,
    ) -> Self {
        Self {
            settings,
            observer,
            memory,
            heavy_turns,
            places: Shares::new(MAX_TARGETS),
            lookups: Resolver::lookups(),
            requests_to_others: Shares::new(REQUESTS_TO_OTHERS),
            others: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// Returns the connections to `target`, for a request of this namespace. The connections are
    /// set up at first use, and again after a file that the TLS settings name changed.
    ///
    /// # Errors
    /// [`TargetError`], if the settings are wrong or the namespace uses too many targets.
    pub fn handle(&self, target: &Target, tenant: &str) -> Result<Arc<TargetHandle>, TargetError> {
        let stamp = target.tls.stamp(&self.settings.protected_directories);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((handle, used)) = known.get_mut(target)
            && handle.stamp == stamp
        {
            *used = Instant::now();
            return Ok(Arc::clone(handle));
        }
        // before its successor, so that a changed file needs no second place
        known.remove(target);
        let place = self.place(&mut known, target, tenant)?;
        let same_server = known.values().find(|(handle, _)| handle.target.address == target.address);
        let limits = same_server.map(|(handle, _)| Arc::clone(&handle.limits)).unwrap_or_default();
        let handle = Arc::new(self.connect(target, stamp, limits, place)?);
        known.insert(target.clone(), (Arc::clone(&handle), Instant::now()));
        Ok(handle)
    }

    /// Returns the memory that is charged for connections, in bytes.
    #[must_use]
    pub fn charged_bytes(&self) -> usize {
        self.places.taken() * TARGET_BYTES
    }

    /// Takes a place for a new target. Unused targets of the same namespace are removed for it.
    fn place(
        &self,
        known: &mut KnownTargets,
        target: &Target,
        tenant: &str,
    ) -> Result<TargetPlace, TargetError> {
        let priority = self.priority(target);
        loop {
            let number = self.places.try_take(tenant, 1, Priority::Common);
            let memory = self.memory.try_take(tenant, TARGET_BYTES, priority);
            if let (Some(number), Some(memory)) = (number, memory) {
                return Ok(TargetPlace { number, _memory: memory });
            }
            remove_unused(known, tenant)?;
        }
    }

    /// Returns whether requests to a target may take what is reserved for the operator's Vault.
    fn priority(&self, target: &Target) -> Priority {
        if target.address == self.settings.operator.address { Priority::Reserved } else { Priority::Common }
    }

    /// Returns the thread for requests to a target of this priority; none for the operator's own
    /// Vault.
    fn others_thread(&self, priority: Priority) -> Result<Option<Arc<OthersThread>>, TargetError> {
        if priority == Priority::Reserved {
            return Ok(None);
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.is_none() {
            *others = Some(Arc::new(OthersThread::start().map_err(TargetError::Thread)?));
        }
        Ok(others.clone())
    }

    fn connect(
        &self,
        target: &Target,
        stamp: Stamp,
        limits: Arc<Limits>,
        place: TargetPlace,
    ) -> Result<TargetHandle, TargetError> {
        let (settings, priority) = (&self.settings, self.priority(target));
        let is_operators = settings.operator.own_target(target);
        let dialer = match &target.address {
            Address::Unix(path) => Dialer::unix(path.clone()),
            Address::Url(_) => {
                let resolver = Resolver::new(self.lookups.clone(), place.number.tenant());
                Dialer::tcp(Arc::new(resolver), CONNECT_TIMEOUT)
            }
        };
        let (proxies, tls) = match &target.address {
            Address::Unix(_) => (None, None),
            Address::Url(url) => {
                let needs_tls = url.scheme() == "https" || has_tls_proxy(&settings.proxies, url);
                let tls = if needs_tls { Some(self.tls(target, is_operators)?) } else { None };
                (Some(Arc::clone(&settings.proxies)), tls)
            }
        };
        let connector = Connector::new(dialer, proxies, tls, CONNECT_TIMEOUT);
        Ok(TargetHandle {
            target: target.clone(),
            is_operators,
            client: HttpClient::new(connector, kept_connections(priority)),
            base: target.address.base(),
            follow_redirects: settings.follow_redirects,
            max_retries: settings.max_retries,
            request_timeout: settings.request_timeout,
            rate: settings.rate_limit.map(RateLimiter::new),
            observer: Arc::clone(&self.observer),
            limits,
            priority,
            others: self.others_thread(priority)?,
            requests_to_others: (priority == Priority::Common).then(|| self.requests_to_others.clone()),
            memory: self.memory.clone(),
            heavy_turns: self.heavy_turns.clone(),
            stamp,
            place,
        })
    }

    /// Returns the TLS settings towards a target. They are read from their files.
    fn tls(&self, target: &Target, is_operators: bool) -> Result<TlsSettings, TargetError> {
        let tls = if is_operators {
            Cow::Borrowed(&target.tls)
        } else {
            target.tls.for_others(self.settings.own_certificate.as_ref())?
        };
        let config = tls.config(&self.settings.protected_directories)?;
        let name = tls.server_name.as_ref().map(|name| {
            ServerName::try_from(name.clone()).map_err(|_| TargetError::ServerNameInvalid(name.clone()))
        });
        Ok(TlsSettings::new(config, name.transpose()?))
    }
}

/// Returns whether a URL is reached by a proxy that speaks TLS itself.
fn has_tls_proxy(proxies: &ProxyRules, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or_default();
    let proxy = proxies.proxy_for(url.scheme(), host, port);
    matches!(proxy, Ok(Some(proxy)) if proxy.scheme() == ProxyScheme::Https)
}

fn kept_connections(priority: Priority) -> HttpClientSettings {
    let (max_idle, idle_seconds) = match priority {
        Priority::Reserved => (IDLE_CONNECTIONS, 90),
        Priority::Common => (IDLE_CONNECTIONS_OF_OTHERS, 15),
    };
    HttpClientSettings {
        max_idle,
        idle_timeout: Duration::from_secs(idle_seconds),
        ping_interval: PING_INTERVAL,
        ping_timeout: PING_TIMEOUT,
    }
}

/// Removes the least recently used target that this namespace named first, of those whose server
/// has no request in progress.
fn remove_unused(known: &mut KnownTargets, tenant: &str) -> Result<(), TargetError> {
    let is_own = |handle: &TargetHandle| handle.place.number.tenant() == tenant;
    let unused = known.iter().filter(|(_, (handle, _))| is_own(handle) && handle.limits.are_unused());
    let oldest = unused.min_by_key(|(_, (_, used))| *used).map(|(target, _)| target.clone());
    known.remove(&oldest.ok_or(TargetError::TooMany)?);
    Ok(())
}
