//! Addresses to listen on, as Go's programs take them.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;

/// Reads `[HOST]:PORT`; without a host it is every interface.
#[must_use]
pub fn parse_address(text: &str) -> Option<SocketAddr> {
    let everywhere =
        || text.strip_prefix(':')?.parse().ok().map(|port| (IpAddr::V6(Ipv6Addr::UNSPECIFIED), port).into());
    text.replacen("localhost:", "127.0.0.1:", 1).parse().ok().or_else(everywhere)
}

/// Listens; an address of every interface falls back to IPv4 where the node has no IPv6.
///
/// # Errors
/// What the system says.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(_) if address.ip().is_unspecified() && address.is_ipv6() => {
            TcpListener::bind(("0.0.0.0", address.port())).await
        }
        listener => listener,
    }
}
