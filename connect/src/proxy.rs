//! Proxies: which one a host is reached by, and the way through it.
//!
//! The rules are those of Go's `net/http` with `golang.org/x/net/http/httpproxy`.

mod bypass;
mod failure;
mod http_tunnel;
mod open;
mod rules;
mod server;
mod socks;
mod url;

pub use failure::{ProxyCause, ProxyFailure, SocksReply};
pub(crate) use open::ProxiedStream;
pub use rules::{ProxyRules, UnusableProxy};
pub use server::{BadProxy, ProxyScheme, ProxyServer};
