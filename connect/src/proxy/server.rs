//! A proxy server, and what is wrong with a text that should name one.

use std::fmt;

use data_encoding::BASE64;
use http::HeaderValue;
use zeroize::Zeroizing;

use super::open::host_and_port;
use super::url::{ProxyUrl, UrlFault};

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyScheme {
    /// HTTP.
    Http,
    /// HTTP over TLS to the proxy.
    Https,
    /// SOCKS version 5. As in Go, the proxy looks up names, also for `socks5`.
    Socks5,
}

/// A proxy server. The user name and password are in no text and no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyServer {
    scheme: ProxyScheme,
    host: String,
    port: u16,
    credentials: Option<ProxyCredentials>,
    source: String,
    heeds_no_proxy: bool,
}

/// A user name and password for a proxy.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ProxyCredentials {
    /// The user name.
    pub(super) user: Zeroizing<Vec<u8>>,
    /// The password, which may be empty.
    pub(super) password: Zeroizing<Vec<u8>>,
}

/// A text that names no proxy that can be used. Nothing of the text is repeated, which may have a
/// password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{source_name} names no proxy: {fault}")]
pub struct BadProxy {
    source_name: String,
    #[source]
    fault: ProxyFault,
    /// Whether Go's `net/http` treats a variable with this value as not set.
    pub(super) is_ignored_by_go: bool,
}

/// What is wrong with the text that should name a proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum ProxyFault {
    #[error(transparent)]
    Url(#[from] UrlFault),
    #[error("its scheme {0:?} has no default port: write {0}://HOST:PORT")]
    NoPort(String),
    #[error("its port is above 65535")]
    PortTooLarge,
    #[error("proxies of the kind {0:?} are not supported: use http, https, socks5 or socks5h")]
    Unsupported(String),
}

impl BadProxy {
    /// Returns where the text comes from, such as `HTTPS_PROXY`.
    pub(super) fn source_name(&self) -> &str {
        &self.source_name
    }
}

impl ProxyServer {
    /// Parses the URL of a proxy, or `HOST:PORT`. `source` says in messages where the text comes
    /// from, such as `HTTPS_PROXY`.
    ///
    /// As in Go, a scheme that is none of a proxy's counts as HTTP.
    ///
    /// # Errors
    /// [`BadProxy`], if Go would not find a URL in the text, or the kind of proxy is known and not
    /// supported (SOCKS 4).
    pub fn parse(source: &str, text: &str) -> Result<Self, BadProxy> {
        let bad = |fault| BadProxy { source_name: source.to_owned(), fault, is_ignored_by_go: false };
        let url = ProxyUrl::parse(text)
            .map_err(|url| BadProxy { is_ignored_by_go: url.is_ignored_by_go, ..bad(url.fault.into()) })?;
        let (scheme, default_port) = match url.scheme.as_str() {
            "https" => (ProxyScheme::Https, Some(443)),
            "socks5" | "socks5h" => (ProxyScheme::Socks5, Some(1080)),
            "socks" | "socks4" | "socks4a" => return Err(bad(ProxyFault::Unsupported(url.scheme))),
            "http" => (ProxyScheme::Http, Some(80)),
            _ => (ProxyScheme::Http, None),
        };
        let port = match (url.port.as_str(), default_port) {
            ("", Some(port)) => port,
            ("", None) => return Err(bad(ProxyFault::NoPort(url.scheme))),
            (digits, _) => digits.parse().map_err(|_| bad(ProxyFault::PortTooLarge))?,
        };
        // Go dials this machine if there is no host
        let host = if url.host.is_empty() { "localhost".to_owned() } else { url.host };
        let credentials = url.user.map(|(user, password)| ProxyCredentials {
            user: Zeroizing::new(user),
            password: Zeroizing::new(password),
        });
        Ok(Self { scheme, host, port, credentials, source: source.to_owned(), heeds_no_proxy: false })
    }

    /// Returns how the proxy is spoken to.
    #[must_use]
    pub fn scheme(&self) -> ProxyScheme {
        self.scheme
    }

    /// Returns the proxy's host: a name or an address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the proxy's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns where the proxy is configured, such as `HTTPS_PROXY`.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns whether `NO_PROXY` can name hosts that are reached without this proxy.
    #[must_use]
    pub fn heeds_no_proxy(&self) -> bool {
        self.heeds_no_proxy
    }

    /// Returns this proxy as one that `NO_PROXY` can name hosts against.
    pub(super) fn heeding_no_proxy(self) -> Self {
        Self { heeds_no_proxy: true, ..self }
    }

    /// Returns the value of `Proxy-Authorization`, if the proxy has a user name. It is marked as
    /// sensitive.
    #[must_use]
    pub fn authorization(&self) -> Option<HeaderValue> {
        let ProxyCredentials { user, password } = self.credentials.as_ref()?;
        let pair = Zeroizing::new([user, &b":"[..], password].concat());
        let value = Zeroizing::new(format!("Basic {}", BASE64.encode(&pair)));
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Returns the user name and password for SOCKS.
    pub(super) fn credentials(&self) -> Option<&ProxyCredentials> {
        self.credentials.as_ref()
    }
}

/// Writes `HOST:PORT`, as in an address.
impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&host_and_port(&self.host, self.port))
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyServer")
            .field("scheme", &self.scheme)
            .field("address", &format_args!("{self}"))
            .field("has_credentials", &self.credentials.is_some())
            .field("source", &self.source)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{ProxyScheme, ProxyServer};

    fn parsed(text: &str) -> Result<ProxyServer, String> {
        ProxyServer::parse("HTTPS_PROXY", text).map_err(|error| error.to_string())
    }

    #[test]
    fn proxies_are_parsed_as_in_go() {
        use ProxyScheme::{Http, Https, Socks5};
        for (text, scheme, host, port) in [
            ("http://proxy:3128", Http, "proxy", 3128),
            ("http://proxy", Http, "proxy", 80),
            ("http://proxy:", Http, "proxy", 80),
            ("HTTPS://Proxy/", Https, "Proxy", 443),
            ("proxy:3128", Http, "proxy", 3128),
            ("proxy", Http, "proxy", 80),
            ("10.0.0.1:3128", Http, "10.0.0.1", 3128),
            ("proxy.example/path?x#y", Http, "proxy.example", 80),
            ("[fd00::1]:3128", Http, "fd00::1", 3128),
            ("http://[fe80::1%25eth0]:3128", Http, "fe80::1%eth0", 3128),
            ("socks5://proxy", Socks5, "proxy", 1080),
            ("socks5h://u:p@proxy:1", Socks5, "proxy", 1),
            ("tcp://proxy:3128", Http, "proxy", 3128),
            ("http://:3128", Http, "localhost", 3128),
            ("http://bücher.example:1", Http, "xn--bcher-kva.example", 1),
        ] {
            let server = parsed(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((server.scheme(), server.host(), server.port()), (scheme, host, port), "{text}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_password() {
        for (text, words) in [
            ("http://u:hush@proxy:x", "its port is no number"),
            ("http://u:hush@pro xy:1", "its host has a character that no host has"),
            ("http://u:hush%zz@proxy", "it has a % without two hexadecimal digits"),
            ("http://u:hush@proxy%", "it has a % without two hexadecimal digits"),
            ("http://u:hush@%8", "it has a % without two hexadecimal digits"),
            ("http://u:hush@%2:1", "it has a % without two hexadecimal digits"),
            ("http://u:hush@a%ü", "it has a % without two hexadecimal digits"),
            ("http://u:hush@[::1%]:1", "it has a % without two hexadecimal digits"),
            ("http://u:hu^sh@proxy", "its user name or password has a character that must be written as %XX"),
            ("http://u:hush@proxy:70000", "its port is above 65535"),
            ("http://u:hush@fd00::1:3128", "its host has a colon: write [ADDRESS]:PORT for an IPv6 address"),
            ("http://u:hush@proxy\n", "it has a control character"),
            ("http:/proxy:3128", "it has no host: write http://HOST:PORT"),
            ("//u:hush@proxy", "it has no host: write http://HOST:PORT"),
            ("proxy:port", "its port is no number"),
            ("tcp://u:hush@proxy", "its scheme \"tcp\" has no default port: write tcp://HOST:PORT"),
            (
                "socks4://u:hush@proxy",
                "proxies of the kind \"socks4\" are not supported: use http, https, socks5 or socks5h",
            ),
        ] {
            assert_eq!(parsed(text), Err(format!("HTTPS_PROXY names no proxy: {words}")), "{text}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let server = parsed("http://us%65r:p%40ss@proxy:3128").expect("a proxy");
        let header = server.authorization().expect("credentials");
        assert_eq!(header, "Basic dXNlcjpwQHNz");
        assert!(header.is_sensitive());
        assert_eq!(
            parsed("http://user@proxy").expect("a proxy").authorization().expect("a user"),
            "Basic dXNlcjo="
        );
        assert_eq!(parsed("http://proxy").expect("a proxy").authorization(), None);
        let shown = format!("{server} {server:?}");
        assert!(!shown.contains("user") && !shown.contains("p@ss") && !shown.contains("p%40ss"), "{shown}");
    }
}
