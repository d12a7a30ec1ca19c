//! TCP connections and unix sockets.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;

use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tower::{Service, ServiceExt};

use crate::{ConnectFailure, LookupFailure, Resolve, TcpFailure};

/// Time without traffic after which TCP asks whether the peer is there, and between two questions.
const TCP_KEEPALIVE: Duration = Duration::from_secs(15);
const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// Number of questions without an answer after which a connection is dead.
const TCP_KEEPALIVE_RETRIES: u32 = 3;

/// Time after which a connection is dead if what was sent is not acknowledged.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

/// A stream of bytes to a server or a proxy.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

/// Opens TCP connections to hosts, or the one unix socket.
#[derive(Clone)]
pub struct Dialer(Way);

#[derive(Clone)]
enum Way {
    Tcp(HttpConnector<Lookup>),
    Unix(PathBuf),
}

impl Dialer {
    /// Returns a dialer for TCP, which tries the addresses of a host as "happy eyeballs" (RFC 8305).
    /// `time_limit` is for all addresses together.
    #[must_use]
    pub fn tcp(resolver: Arc<dyn Resolve>, time_limit: Duration) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Lookup(resolver));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(time_limit));
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        tcp.set_keepalive_interval(Some(TCP_KEEPALIVE_INTERVAL));
        tcp.set_keepalive_retries(Some(TCP_KEEPALIVE_RETRIES));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT));
        Self(Way::Tcp(tcp))
    }

    /// Returns a dialer that opens this unix socket, whatever the host.
    #[must_use]
    pub fn unix(path: PathBuf) -> Self {
        Self(Way::Unix(path))
    }

    /// Opens a connection to the host and port of a URI. The port is that of the scheme (80 or 443)
    /// if the URI has none.
    ///
    /// # Errors
    /// [`ConnectFailure::Lookup`] and [`ConnectFailure::Tcp`].
    pub async fn dial(&self, to: &Uri) -> Result<Box<dyn ByteStream>, ConnectFailure> {
        match &self.0 {
            Way::Unix(path) => match UnixStream::connect(path).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(source) => Err(TcpFailure { peer: path.display().to_string(), source }.into()),
            },
            Way::Tcp(tcp) => match tcp.clone().oneshot(to.clone()).await {
                Ok(stream) => Ok(Box::new(stream.into_inner())),
                Err(error) => Err(failure(&error, to)),
            },
        }
    }
}

impl Dialer {
    /// Opens a connection to a host, which is a name or an address without brackets.
    ///
    /// # Errors
    /// As [`Self::dial`].
    pub(crate) async fn dial_host(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Box<dyn ByteStream>, ConnectFailure> {
        let authority =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let uri = Uri::builder().scheme("http").authority(authority.as_str()).path_and_query("/").build();
        match uri {
            Ok(uri) => self.dial(&uri).await,
            Err(error) => {
                let source = io::Error::new(io::ErrorKind::InvalidInput, error);
                Err(TcpFailure { peer: authority, source }.into())
            }
        }
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Way::Tcp(_) => f.write_str("Dialer(tcp)"),
            Way::Unix(path) => write!(f, "Dialer({})", path.display()),
        }
    }
}

/// Returns the cause, by its type: the lookup's own error, or the system's error for TCP.
fn failure(error: &(dyn StdError + 'static), to: &Uri) -> ConnectFailure {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(LookupError { host, source }) = error.downcast_ref() {
            return LookupFailure { host: host.clone(), source: same(source) }.into();
        }
        if let Some(source) = error.downcast_ref() {
            return TcpFailure { peer: peer(to), source: same(source) }.into();
        }
        cause = error.source();
    }
    // a host without any address, or a URI without a host
    TcpFailure { peer: peer(to), source: io::ErrorKind::AddrNotAvailable.into() }.into()
}

fn peer(to: &Uri) -> String {
    let port = to.port_u16().unwrap_or(if to.scheme_str() == Some("https") { 443 } else { 80 });
    format!("{}:{port}", to.host().unwrap_or_default())
}

/// Returns a copy of an error, which has no `Clone`.
fn same(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// The resolver as [`HttpConnector`] takes it.
#[derive(Clone)]
struct Lookup(Arc<dyn Resolve>);

#[derive(Debug, thiserror::Error)]
#[error("{source}")]
struct LookupError {
    host: String,
    source: io::Error,
}

impl Service<Name> for Lookup {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = LookupError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LookupError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let addresses = self.0.resolve(name.as_str());
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let addresses = addresses.await.map_err(|source| LookupError { host, source })?;
            Ok(addresses.into_iter())
        })
    }
}
