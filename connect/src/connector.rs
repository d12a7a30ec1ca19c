//! Makes connections: lookup, TCP, proxy, TLS.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tower::Service;

use crate::link::Link;
use crate::proxy::ProxiedStream;
use crate::tls_end::TlsEnd;
use crate::{ByteStream, ConnectFailure, ConnectStep, Dialer, ProxyRules, TlsFailure};

/// The protocols that are offered in a TLS handshake (ALPN), the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Makes connections to the hosts of URIs. Clones share their settings.
#[derive(Clone)]
pub struct Connector {
    inner: Arc<Inner>,
}

struct Inner {
    dialer: Dialer,
    proxies: Option<Arc<ProxyRules>>,
    tls: Option<TlsSettings>,
    time_limit: Duration,
    tls_end: TlsEnd,
}

/// How TLS is spoken with `https://` hosts.
#[derive(Clone)]
pub struct TlsSettings {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl TlsSettings {
    /// Returns settings that offer HTTP/2 and HTTP/1.1. `server_name` is sent (SNI, if it is no IP
    /// address) and verified in place of the URI's host.
    #[must_use]
    pub fn new(mut config: ClientConfig, server_name: Option<ServerName<'static>>) -> Self {
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Self { connector: TlsConnector::from(Arc::new(config)), server_name }
    }

    /// Does the handshake with a proxy: with the same authorities, as in Go, but without the client
    /// certificate, which is for the target, and under the proxy's own name.
    pub(crate) async fn connect_to_proxy(
        &self,
        host: &str,
        stream: Box<dyn ByteStream>,
    ) -> Result<Box<dyn ByteStream>, TlsFailure> {
        let mut config = ClientConfig::clone(self.connector.config());
        config.alpn_protocols = Vec::new();
        config.client_auth_cert_resolver = Arc::new(NoClientCertificate);
        let name = server_name(host)?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        Ok(Box::new(connecting.await.map_err(TlsFailure::of_handshake)?))
    }
}

impl Connector {
    /// Returns a connector. Without `tls` no `https://` host and no proxy over TLS is reached, and
    /// without `proxies` every host is reached directly. `time_limit` is for the whole connection;
    /// for one through a proxy it is for the connection to the proxy, and again for the handshake.
    #[must_use]
    pub fn new(
        dialer: Dialer,
        proxies: Option<Arc<ProxyRules>>,
        tls: Option<TlsSettings>,
        time_limit: Duration,
    ) -> Self {
        Self { inner: Arc::new(Inner { dialer, proxies, tls, time_limit, tls_end: TlsEnd::default() }) }
    }

    /// Returns why a server ended TLS after a handshake, at this time or later.
    pub(crate) fn tls_end_since(&self, time: Instant) -> Option<TlsFailure> {
        self.inner.tls_end.since(time)
    }

    /// Returns the rules for proxies.
    pub(crate) fn proxies(&self) -> Option<&ProxyRules> {
        self.inner.proxies.as_deref()
    }
}

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = Arc<ConnectFailure>;
    type Future = BoxFuture<'static, Result<Link, Arc<ConnectFailure>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Arc<ConnectFailure>>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.connect(&to).await.map_err(Arc::new) })
    }
}

impl Inner {
    async fn connect(&self, to: &Uri) -> Result<Link, ConnectFailure> {
        let tls = match to.scheme_str() {
            Some("https") => Some(self.tls.as_ref().ok_or(ConnectFailure::NoTls)?),
            _ => None,
        };
        let limit = self.time_limit;
        let timed_out = |step| move |_| ConnectFailure::TimedOut { step, limit };
        let mut deadline = Instant::now() + limit;
        let proxy = self.proxies.as_ref().map_or(Ok(None), |rules| rules.proxy_for_uri(to))?;
        let ProxiedStream { stream, is_forwarded } = match proxy {
            Some(proxy) => {
                let opened = proxy.open(&self.dialer, to, self.tls.as_ref(), limit).await?;
                // the proxy's own limits are over, and the handshake goes through it
                deadline = Instant::now() + limit;
                opened
            }
            None => {
                let dialed = timeout_at(deadline, self.dialer.dial(to)).await;
                ProxiedStream { stream: dialed.map_err(timed_out(ConnectStep::Dial))??, is_forwarded: false }
            }
        };
        let Some(tls) = tls else {
            return Ok(Link::new(stream, false, is_forwarded, self.tls_end.clone()));
        };
        let (stream, is_http2) =
            timeout_at(deadline, handshake(tls, stream, to)).await.map_err(timed_out(ConnectStep::Tls))??;
        Ok(Link::new(stream, is_http2, false, self.tls_end.clone()))
    }
}

/// Does the handshake. Returns the stream, and whether HTTP/2 was chosen.
async fn handshake(
    tls: &TlsSettings,
    stream: Box<dyn ByteStream>,
    to: &Uri,
) -> Result<(Box<dyn ByteStream>, bool), TlsFailure> {
    let name = match &tls.server_name {
        Some(name) => name.clone(),
        None => host_name(to)?,
    };
    let stream = tls.connector.connect(name, stream).await.map_err(TlsFailure::of_handshake)?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(PROTOCOLS[0]);
    Ok((Box::new(stream), is_http2))
}

fn host_name(to: &Uri) -> Result<ServerName<'static>, TlsFailure> {
    server_name(to.host().unwrap_or_default().trim_matches(['[', ']']))
}

fn server_name(host: &str) -> Result<ServerName<'static>, TlsFailure> {
    ServerName::try_from(host.to_owned()).map_err(|error| {
        TlsFailure::of_handshake(std::io::Error::new(std::io::ErrorKind::InvalidInput, error))
    })
}

/// Has no client certificate.
#[derive(Debug)]
struct NoClientCertificate;

impl ResolvesClientCert for NoClientCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
