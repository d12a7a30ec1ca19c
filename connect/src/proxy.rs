//! Proxies: which one a host is reached by, and the way through it.

use std::convert::Infallible;

use http::{HeaderValue, Uri};

use crate::{ByteStream, Dialer};

/// Which proxy a host is reached by.
#[derive(Debug)]
pub struct ProxyRules {
    never: Infallible,
}

/// A proxy.
#[derive(Debug)]
pub struct ProxyServer {
    never: Infallible,
}

/// Why there is no way through a proxy.
#[derive(Debug, thiserror::Error)]
#[error("the proxy failed")]
pub struct ProxyFailure {
    never: Infallible,
}

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
    pub(crate) fn proxy_for(&self, _target: &Uri) -> Option<&ProxyServer> {
        match self.never {}
    }
}

impl ProxyServer {
    /// Opens a stream to the target through the proxy.
    ///
    /// # Errors
    /// [`ProxyFailure`].
    pub(crate) async fn open(&self, _dialer: &Dialer, _target: &Uri) -> Result<ProxiedStream, ProxyFailure> {
        match self.never {}
    }

    /// Returns the header `Proxy-Authorization` of forwarded requests.
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        match self.never {}
    }
}
