//! Why no connection was made.

use std::io;
use std::time::Duration;

use crate::{ProxyFailure, TlsFailure};

/// Why no connection was made. Nothing of a request was sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectFailure {
    /// The host's name has no address.
    #[error(transparent)]
    Lookup(#[from] LookupFailure),
    /// The host cannot be reached.
    #[error(transparent)]
    Tcp(#[from] TcpFailure),
    /// The proxy cannot be reached, or refuses.
    #[error(transparent)]
    Proxy(#[from] ProxyFailure),
    /// The TLS handshake failed.
    #[error(transparent)]
    Tls(#[from] TlsFailure),
    /// The host is one of `https://`, and there are no settings for TLS.
    #[error("TLS is not set up for an http:// address, and so https:// is not reached from there")]
    NoTls,
    /// A step took too long.
    #[error("{step} took longer than {} s", limit.as_secs())]
    TimedOut {
        /// What was not done in time.
        step: ConnectStep,
        /// The time for the whole connection.
        limit: Duration,
    },
}

/// A step of making a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectStep {
    /// The lookup of the host's name, and TCP.
    Dial,
    /// The TLS handshake.
    Tls,
}

/// A host's name could not be looked up.
#[derive(Debug, thiserror::Error)]
#[error("the lookup of {host} failed: {source}")]
pub struct LookupFailure {
    /// The name.
    pub host: String,
    /// What the system's resolver reports.
    pub source: io::Error,
}

/// A TCP connection or a unix socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{peer}: {source}")]
pub struct TcpFailure {
    /// Host and port, or the path of the socket.
    pub peer: String,
    /// What the system reports for the last address that was tried.
    pub source: io::Error,
}

impl std::fmt::Display for ConnectStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Dial => "the TCP connection",
            Self::Tls => "the TLS handshake",
        })
    }
}
