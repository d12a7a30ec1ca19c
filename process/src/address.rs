//! Addresses to listen on, written as Go programs take them.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;

/// A text that is not an address to listen on.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not [HOST]:PORT")]
pub struct AddressError(String);

/// Parses `[HOST]:PORT`. Without a host the address is that of every interface.
///
/// # Errors
/// The text has another form.
pub fn parse_address(text: &str) -> Result<SocketAddr, AddressError> {
    let every_interface =
        || text.strip_prefix(':')?.parse().ok().map(|port| (IpAddr::V6(Ipv6Addr::UNSPECIFIED), port).into());
    let address = text.replacen("localhost:", "127.0.0.1:", 1).parse().ok().or_else(every_interface);
    address.ok_or_else(|| AddressError(text.to_owned()))
}

/// Listens at an address. The address of every interface falls back to IPv4 where the node has no
/// IPv6.
///
/// # Errors
/// The system's own error, such as an address in use.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(_) if address.ip().is_unspecified() && address.is_ipv6() => {
            TcpListener::bind(("0.0.0.0", address.port())).await
        }
        listener => listener,
    }
}

#[cfg(test)]
mod tests {
    use super::parse_address;

    #[test]
    fn a_host_is_optional_and_a_port_is_not() {
        for (text, address) in [
            (":8080", "[::]:8080"),
            ("0.0.0.0:8080", "0.0.0.0:8080"),
            ("[::1]:8080", "[::1]:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
        ] {
            assert_eq!(parse_address(text).expect(text).to_string(), address);
        }
        for text in ["", "8080", "host:8080", ":", ":65536", "::1"] {
            let error = parse_address(text).expect_err(text).to_string();
            assert_eq!(error, format!("{text:?} is not [HOST]:PORT"));
        }
    }
}
