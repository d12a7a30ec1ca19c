//! `NO_PROXY`: the hosts that are reached without a proxy.
//!
//! The rules are those of `golang.org/x/net/http/httpproxy`, which every Go program follows.

use std::net::{IpAddr, Ipv6Addr};

use super::url::to_ascii;

/// The hosts that are reached without a proxy, besides this machine itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Bypass {
    entries: Vec<BypassEntry>,
}

/// One entry of `NO_PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum BypassEntry {
    /// Every host.
    All,
    /// The addresses of a network, at every port.
    Network { address: IpAddr, prefix: u32 },
    /// One address, at one port or at all.
    Address { address: IpAddr, port: Option<String> },
    /// The names that end in `suffix`, which begins with a dot; with `itself` also the name after
    /// that dot.
    Domain { suffix: String, itself: bool, port: Option<String> },
}

impl Bypass {
    /// Parses a list with commas. As in Go, what cannot be understood is left out.
    pub(super) fn parse(list: &str) -> Self {
        let texts = list.split(',').map(|text| text.trim().to_lowercase());
        let mut entries: Vec<_> = texts.filter_map(|text| BypassEntry::parse(&text)).collect();
        if entries.contains(&BypassEntry::All) {
            entries = vec![BypassEntry::All];
        }
        Self { entries }
    }

    /// Returns whether a host is reached without a proxy: if it is listed, or is this machine.
    pub(super) fn covers(&self, host: &str, port: u16) -> bool {
        let address = host.split('%').next().and_then(|text| text.parse().ok()).map(canonical);
        if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            return true;
        }
        let (host, port) = (host.trim().to_lowercase(), port.to_string());
        self.entries.iter().any(|entry| entry.covers(&host, address, &port))
    }
}

impl BypassEntry {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some(network) = network(text) {
            return Some(network);
        }
        let (host, port) = split_port(text);
        let port = port.filter(|port| !port.is_empty()).map(str::to_owned);
        if let Ok(address) = host.parse() {
            return Some(Self::Address { address: canonical(address), port });
        }
        let host = if host.starts_with("*.") { &host[1..] } else { host };
        let itself = !host.is_empty() && !host.starts_with('.');
        let suffix = if itself { format!(".{host}") } else { host.to_owned() };
        (!suffix.is_empty()).then(|| Self::Domain {
            suffix: to_ascii(&suffix).unwrap_or(suffix),
            itself,
            port,
        })
    }

    fn covers(&self, host: &str, address: Option<IpAddr>, port: &str) -> bool {
        let at = |wanted: &Option<String>| wanted.as_deref().is_none_or(|wanted| wanted == port);
        match self {
            Self::All => true,
            Self::Network { address: network, prefix } => {
                address.is_some_and(|address| masked(address, *prefix) == Some(*network))
            }
            Self::Address { address: wanted, port } => address == Some(*wanted) && at(port),
            Self::Domain { suffix, itself, port } => {
                let named = host.ends_with(suffix) || *itself && host == &suffix[1..];
                address.is_none() && named && at(port)
            }
        }
    }
}

/// Parses a network such as `10.0.0.0/8`.
fn network(text: &str) -> Option<BypassEntry> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    let prefix: u32 = prefix.parse().ok().filter(|_| is_number)?;
    let network = masked(address, prefix)?;
    match canonical(network) {
        // written as an IPv6 address that stands for an IPv4 one
        short @ IpAddr::V4(_) if network.is_ipv6() => {
            Some(BypassEntry::Network { address: short, prefix: prefix.checked_sub(96)? })
        }
        address => Some(BypassEntry::Network { address, prefix }),
    }
}

/// Returns the address with only its first `prefix` bits, or `None` if it has fewer bits.
fn masked(address: IpAddr, prefix: u32) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(prefix)?).unwrap_or_default();
            Some(IpAddr::V4((address.to_bits() & mask).into()))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(prefix)?).unwrap_or_default();
            Some(IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask)))
        }
    }
}

fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Splits `host:port` as Go's `net.SplitHostPort`, and returns a text that is not of this form as a
/// whole.
fn split_port(text: &str) -> (&str, Option<&str>) {
    let whole = (text, None);
    let Some(colon) = text.rfind(':') else { return whole };
    let (host, port) = (&text[..colon], &text[colon + 1..]);
    let host = match host.strip_prefix('[') {
        // the first bracket that closes must be the one before the colon
        Some(inner) => match inner.strip_suffix(']') {
            Some(host) if !host.contains(']') => host,
            _ => return whole,
        },
        None if host.contains(':') => return whole,
        None => host,
    };
    if host.contains(['[', ']']) || port.contains(['[', ']']) { whole } else { (host, Some(port)) }
}

#[cfg(test)]
mod tests {
    use super::Bypass;

    #[test]
    fn hosts_are_covered_as_in_go() {
        for (list, host, port, covered) in [
            ("", "vault", 443, false),
            ("", "localhost", 8200, true),
            ("", "127.1.2.3", 8200, true),
            ("", "::1", 8200, true),
            ("", "::ffff:127.0.0.1", 8200, true),
            ("", "localhost.", 8200, false),
            ("*", "vault", 1, true),
            ("a, * ,b", "10.0.0.1", 1, true),
            ("vault.example", "vault.example", 1, true),
            ("vault.example", "a.vault.example", 1, true),
            ("vault.example", "myvault.example", 1, false),
            ("VAULT.Example", "vault.example", 1, true),
            (".example", "vault.example", 1, true),
            (".example", "example", 1, false),
            ("*.example", "a.b.example", 1, true),
            ("*.example", "example", 1, false),
            ("*example", "vaultexample", 1, false),
            ("vault:8200", "vault", 8200, true),
            ("vault:8200", "vault", 443, false),
            ("*.example:8200", "vault.example", 8200, true),
            ("*.example:8200", "vault.example", 8201, false),
            (".svc,.cluster.local", "vault.ns.svc", 8200, true),
            (" , ,vault, ", "vault", 1, true),
            ("vault ", "vault.", 1, false),
            ("bücher.example", "xn--bcher-kva.example", 1, true),
            ("10.0.0.1", "10.0.0.1", 1, true),
            ("10.0.0.1", "110.0.0.1", 1, false),
            ("10.0.0.1:8200", "10.0.0.1", 8200, true),
            ("10.0.0.1:8200", "10.0.0.1", 1, false),
            ("10.0.0.0/8", "10.9.8.7", 1, true),
            ("10.0.0.0/8", "11.0.0.1", 1, false),
            ("10.1.2.3/8", "10.9.8.7", 1, true),
            ("0.0.0.0/0", "9.9.9.9", 1, true),
            ("0.0.0.0/0", "fd00::1", 1, false),
            ("10.0.0.0/33", "10.0.0.1", 1, false),
            ("fd00::/8", "fd12::1", 1, true),
            ("fd00::1", "fd00:0::1", 1, true),
            ("[fd00::1]:8200", "fd00::1", 8200, true),
            ("[fd00::1]:8200", "fd00::1", 1, false),
            ("[fd00::1]", "fd00::1", 1, false),
            ("::ffff:10.0.0.0/104", "10.1.1.1", 1, true),
            ("10.0.0.0/8:8200", "10.0.0.1", 8200, false),
            ("[:8200", "vault", 8200, false),
            ("[]:8200", "vault", 8200, false),
            (":8200,:,[,],%,/,.", "vault", 8200, false),
        ] {
            assert_eq!(Bypass::parse(list).covers(host, port), covered, "NO_PROXY={list:?}: {host}:{port}");
        }
    }
}
