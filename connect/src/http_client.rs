//! An HTTP client that leaves dead connections.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::PROXY_AUTHORIZATION;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, sleep, sleep_until};

use crate::connection_use::ConnectionUse;
use crate::{Connector, HttpFailure, ProxyServer};

/// Maximum bytes of the headers of an answer over HTTP/2.
const HTTP2_HEADERS: u32 = 16 << 10;

/// Bytes that one stream and one connection of HTTP/2 receive before they are read.
const HTTP2_WINDOW: u32 = 256 << 10;

/// How many idle connections an [`HttpClient`] keeps, and when a connection counts as dead.
#[derive(Debug, Clone, Copy)]
pub struct HttpClientSettings {
    /// Maximum number of idle connections to one host.
    pub max_idle: usize,
    /// Time after which an idle connection is closed.
    pub idle_timeout: Duration,
    /// Time without a frame after which an HTTP/2 connection is asked whether it is alive (PING),
    /// also while it is idle.
    pub ping_interval: Duration,
    /// Time for the answer to a PING.
    pub ping_timeout: Duration,
}

impl HttpClientSettings {
    /// Returns the time for the answer to a request that may be repeated, on a kept connection of
    /// HTTP/1.1, which has no PING: as long as a request waits on a dead connection of HTTP/2.
    fn kept_http1_timeout(self) -> Duration {
        self.ping_interval + self.ping_timeout
    }
}

/// Sends requests over the connections of one connector, and keeps the connections.
///
/// A connection that did not answer in time, or that broke, is not used again, and neither are
/// those that were idle then: what broke one may have broken all, and the next request goes over a
/// new connection for certain.
pub struct HttpClient<B> {
    connector: Connector,
    settings: HttpClientSettings,
    pool: Mutex<Pool<B>>,
}

struct Pool<B> {
    client: Client<Connector, B>,
    /// Counts the pools of an [`HttpClient`].
    number: u64,
}

/// An answer, whose body may still arrive.
#[derive(Debug)]
pub struct Sent {
    /// The answer.
    pub response: Response<Incoming>,
    /// The pool of the answer's connection.
    pool: u64,
}

/// How long a request waits for its answer, and what may be done without one.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// When the wait for the headers of the answer ends.
    pub deadline: Instant,
    /// Whether the request may be sent again. The wait on a kept connection of HTTP/1.1 is shorter
    /// then.
    pub may_repeat: bool,
}

impl<B> HttpClient<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    /// Returns a client without connections.
    #[must_use]
    pub fn new(connector: Connector, settings: HttpClientSettings) -> Self {
        let client = client(connector.clone(), settings);
        Self { connector, settings, pool: Mutex::new(Pool { client, number: 0 }) }
    }

    /// Sends a request, and waits for the headers of the answer.
    ///
    /// # Errors
    /// [`HttpFailure`]. The connection is not used again then.
    pub async fn send(&self, mut request: Request<B>, patience: Patience) -> Result<Sent, HttpFailure> {
        let began = Instant::now();
        self.authorize(&mut request);
        let (client, pool) = self.pool();
        let mut captured = capture_connection(&mut request);
        let response = client.request(request);
        let seen = captured.clone();
        let too_long = async {
            drop(captured.wait_for_connection_metadata().await);
            let is_http1 =
                ConnectionUse::of(&captured).is_some_and(|used| used.is_kept() && !used.is_http2());
            if is_http1 && patience.may_repeat {
                sleep(self.settings.kept_http1_timeout()).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        let answer = tokio::select! {
            answer = response => Some(answer),
            () = too_long => None,
            () = sleep_until(patience.deadline) => None,
        };
        let used = ConnectionUse::of(&seen);
        let is_kept = used.as_ref().is_some_and(ConnectionUse::is_kept);
        let failure = match answer {
            Some(Ok(response)) => {
                if let Some(used) = used {
                    used.note_answer();
                }
                return Ok(Sent { response, pool });
            }
            Some(Err(error)) => {
                HttpFailure::of(error, is_kept).because_of(self.connector.tls_end_since(began))
            }
            None => HttpFailure::TimedOut { is_kept },
        };
        if !matches!(failure, HttpFailure::Unreachable(_)) {
            self.leave(pool);
        }
        Err(failure)
    }

    /// Leaves the connection of an answer whose body did not arrive.
    pub fn leave_connection_of(&self, sent: &Sent) {
        self.leave(sent.pool);
    }

    /// Leaves all connections of a pool, unless that was done before. What is in progress goes on.
    fn leave(&self, number: u64) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.number == number {
            *pool = Pool { client: client(self.connector.clone(), self.settings), number: number + 1 };
        }
    }

    fn pool(&self) -> (Client<Connector, B>, u64) {
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        (pool.client.clone(), pool.number)
    }

    /// Adds the credentials for an HTTP proxy that the request itself goes to.
    fn authorize(&self, request: &mut Request<B>) {
        let uri = request.uri();
        let proxy = self.connector.proxies().and_then(|rules| rules.proxy_for_uri(uri).ok().flatten());
        let proxy = proxy.filter(|proxy| proxy.is_forwarding(uri));
        if let Some(credentials) = proxy.and_then(ProxyServer::authorization) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, credentials);
        }
    }
}

impl<B> fmt::Debug for HttpClient<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn client<B>(connector: Connector, settings: HttpClientSettings) -> Client<Connector, B>
where
    B: Body<Data = Bytes> + Send,
{
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(settings.max_idle)
        .pool_idle_timeout(settings.idle_timeout)
        .http2_initial_stream_window_size(HTTP2_WINDOW)
        .http2_initial_connection_window_size(HTTP2_WINDOW)
        .http2_max_header_list_size(HTTP2_HEADERS)
        .http2_keep_alive_interval(settings.ping_interval)
        .http2_keep_alive_timeout(settings.ping_timeout)
        .http2_keep_alive_while_idle(true)
        .build(connector)
}
