//! Why there is no way through a proxy. The texts hold neither user name nor password.

use std::fmt;
use std::io;
use std::time::Duration;

use http::StatusCode;

use super::{ProxyServer, UnusableProxy};
use crate::{ConnectFailure, TlsFailure};

/// Why there is no way through a proxy.
#[derive(Debug, thiserror::Error)]
pub enum ProxyFailure {
    /// The settings choose a proxy that cannot be used.
    #[error(transparent)]
    Unusable(#[from] UnusableProxy),
    /// The proxy cannot be reached, or lets nobody through.
    #[error("the proxy {address} ({setting}) {cause}{}", Advice { cause, heeds_no_proxy: *heeds_no_proxy })]
    Failed {
        /// Host and port of the proxy.
        address: String,
        /// Where the proxy is configured, such as `HTTPS_PROXY`.
        setting: String,
        /// Whether `NO_PROXY` can name hosts that are reached without this proxy.
        heeds_no_proxy: bool,
        /// What failed.
        #[source]
        cause: ProxyCause,
    },
}

/// What failed at a proxy.
#[derive(Debug, thiserror::Error)]
pub enum ProxyCause {
    /// The proxy itself cannot be reached.
    #[error("cannot be reached: {0}")]
    Unreachable(#[source] Box<ConnectFailure>),
    /// The TLS handshake with the proxy failed.
    #[error("cannot be reached over TLS: {0}")]
    Tls(#[source] TlsFailure),
    /// There are no settings for TLS with the proxy.
    #[error("wants TLS, which is not set up for this connection")]
    NoTls,
    /// The proxy did not answer in time.
    #[error("did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The connection to the proxy broke.
    #[error("broke the connection: {0}")]
    Broke(#[source] io::Error),
    /// The proxy closed the connection without an answer.
    #[error("closed the connection without an answer")]
    Closed,
    /// The proxy answered the CONNECT with another status than 2xx.
    #[error("refused the connection to {target}: {status}")]
    Refused {
        /// Host and port of the target.
        target: String,
        /// The status.
        status: StatusCode,
        /// Whether a user name was sent.
        has_credentials: bool,
    },
    /// The answer to the CONNECT is not HTTP.
    #[error("does not answer as an HTTP proxy")]
    NotHttp,
    /// The proxy did not make the connection.
    #[error("made no connection to {target}: {reply}")]
    Socks {
        /// Host and port of the target.
        target: String,
        /// The reason.
        reply: SocksReply,
    },
    /// The proxy wants a way of authentication that cannot be used.
    #[error("accepts no connection {}", if *.has_credentials { "with this user name" } else { "without a user name" })]
    SocksMethod {
        /// Whether a user name was sent.
        has_credentials: bool,
    },
    /// The proxy refused user name and password.
    #[error("refused the user name and password")]
    SocksCredentials,
    /// The user name is empty, or it or the password is longer than 255 bytes.
    #[error("needs a user name and a password of at most 255 bytes")]
    SocksUserTooLong,
    /// The target's name is longer than 255 bytes.
    #[error("takes no names of more than 255 bytes")]
    SocksNameTooLong,
    /// The answer is not SOCKS version 5.
    #[error("does not answer as a SOCKS 5 proxy")]
    NotSocks,
}

/// The reason of a SOCKS proxy (RFC 1928, 6) why it made no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocksReply(pub u8);

impl ProxyCause {
    /// Returns the failure of this proxy.
    pub(super) fn of(self, proxy: &ProxyServer) -> ProxyFailure {
        ProxyFailure::Failed {
            address: proxy.to_string(),
            setting: proxy.source().to_owned(),
            heeds_no_proxy: proxy.heeds_no_proxy(),
            cause: self,
        }
    }
}

impl From<io::Error> for ProxyCause {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Broke(error),
        }
    }
}

impl fmt::Display for SocksReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            1 => "general failure",
            2 => "not allowed by its rules",
            3 => "network unreachable",
            4 => "host unreachable",
            5 => "connection refused",
            6 => "TTL expired",
            7 => "command not supported",
            8 => "address type not supported",
            code => return write!(f, "code {code}"),
        })
    }
}

/// What to do against a cause.
struct Advice<'a> {
    cause: &'a ProxyCause,
    heeds_no_proxy: bool,
}

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = match self.cause {
            ProxyCause::Refused { status, has_credentials, .. }
                if *status == StatusCode::PROXY_AUTHENTICATION_REQUIRED =>
            {
                Some(*has_credentials)
            }
            ProxyCause::SocksMethod { has_credentials } => Some(*has_credentials),
            ProxyCause::SocksCredentials => Some(true),
            _ => None,
        };
        match credentials {
            Some(true) => f.write_str(". Check the user name and password in the proxy's URL"),
            Some(false) => f.write_str(". Write SCHEME://USER:PASSWORD@HOST:PORT as the proxy's URL"),
            None if self.heeds_no_proxy => f.write_str(". NO_PROXY lists hosts that need no proxy"),
            None => Ok(()),
        }
    }
}
