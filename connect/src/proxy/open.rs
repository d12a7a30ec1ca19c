//! Opens a stream to a target through a proxy.

use std::time::Duration;

use http::Uri;
use tokio::time::timeout;

use super::{ProxyCause, ProxyFailure, ProxyRules, ProxyScheme, ProxyServer, http_tunnel, socks};
use crate::{ByteStream, ConnectFailure, ConnectStep, Dialer, TlsSettings};

/// Time for the proxy's answer, which comes when the proxy itself has a connection to the target. A
/// mount has a minute.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// A stream through a proxy.
pub(crate) struct ProxiedStream {
    /// The stream.
    pub(crate) stream: Box<dyn ByteStream>,
    /// Whether requests over it go to the proxy itself, in absolute form (`http://` by an HTTP
    /// proxy), and not to the target.
    pub(crate) is_forwarded: bool,
}

impl ProxyRules {
    /// Returns the proxy for the host of a URI; none if the host is reached without a proxy.
    ///
    /// # Errors
    /// [`ProxyFailure::Unusable`].
    pub(crate) fn proxy_for_uri(&self, target: &Uri) -> Result<Option<&ProxyServer>, ProxyFailure> {
        let (host, port) = host_of(target);
        Ok(self.proxy_for(target.scheme_str().unwrap_or_default(), host, port)?)
    }
}

impl ProxyServer {
    /// Opens a stream to the target through the proxy. `time_limit` is for reaching the proxy, and
    /// `tls` for TLS with the proxy itself.
    ///
    /// # Errors
    /// [`ProxyFailure::Failed`].
    pub(crate) async fn open(
        &self,
        dialer: &Dialer,
        target: &Uri,
        tls: Option<&TlsSettings>,
        time_limit: Duration,
    ) -> Result<ProxiedStream, ProxyFailure> {
        let reached = timeout(time_limit, self.reach(dialer, tls)).await;
        let timed_out = |_| {
            let failure = ConnectFailure::TimedOut { step: ConnectStep::Dial, limit: time_limit };
            Err(ProxyCause::Unreachable(Box::new(failure)))
        };
        let mut stream = reached.unwrap_or_else(timed_out).map_err(|cause| cause.of(self))?;
        if self.is_forwarding(target) {
            return Ok(ProxiedStream { stream, is_forwarded: true });
        }
        let tunnel = timeout(ANSWER_TIMEOUT, self.tunnel(&mut *stream, target)).await;
        let tunnel = tunnel.unwrap_or(Err(ProxyCause::TimedOut(ANSWER_TIMEOUT)));
        tunnel.map_err(|cause| cause.of(self))?;
        Ok(ProxiedStream { stream, is_forwarded: false })
    }

    /// Returns whether requests for the target are sent to the proxy itself, in absolute form.
    pub(crate) fn is_forwarding(&self, target: &Uri) -> bool {
        self.scheme() != ProxyScheme::Socks5 && target.scheme_str() == Some("http")
    }

    /// Connects to the proxy itself.
    async fn reach(
        &self,
        dialer: &Dialer,
        tls: Option<&TlsSettings>,
    ) -> Result<Box<dyn ByteStream>, ProxyCause> {
        let unreachable = |failure| ProxyCause::Unreachable(Box::new(failure));
        let stream = dialer.dial_host(self.host(), self.port()).await.map_err(unreachable)?;
        if self.scheme() != ProxyScheme::Https {
            return Ok(stream);
        }
        tls.ok_or(ProxyCause::NoTls)?.connect_to_proxy(self.host(), stream).await.map_err(ProxyCause::Tls)
    }

    async fn tunnel(&self, stream: &mut (dyn ByteStream + '_), target: &Uri) -> Result<(), ProxyCause> {
        let (host, port) = host_of(target);
        match self.scheme() {
            ProxyScheme::Socks5 => socks::open(stream, host, port, self.credentials()).await,
            ProxyScheme::Http | ProxyScheme::Https => {
                http_tunnel::open(stream, &host_and_port(host, port), self.authorization().as_ref()).await
            }
        }
    }
}

/// Returns the host of a URI without brackets, and the port.
fn host_of(uri: &Uri) -> (&str, u16) {
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    (uri.host().unwrap_or_default().trim_matches(['[', ']']), uri.port_u16().unwrap_or(default))
}

/// Writes `HOST:PORT`, with brackets around an IPv6 address.
pub(super) fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
