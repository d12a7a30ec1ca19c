//! Addresses of Vault servers.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::is_unprintable;

/// The address of a Vault server: an HTTP(S) URL, or a unix socket that speaks HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// `http://…` or `https://…`, with no trailing slash.
    Url(Url),
    /// `unix:///path`, such as a Vault Agent's listener.
    Unix(PathBuf),
}

/// A text that is not an address of a Vault server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no Vault address: write https://HOST[:PORT], http://HOST[:PORT] or unix:///PATH")]
pub struct BadAddress(String);

impl Address {
    /// Parses an address, and brings it into one form: two texts of one URL are equal addresses.
    ///
    /// # Errors
    /// [`BadAddress`], if the scheme is another one, or the URL has a query, a fragment, a user
    /// name or a password, or the text has characters that cannot be seen, which a URL's parser
    /// would drop. The error never repeats a password.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim();
        if text.chars().any(is_unprintable) {
            return Err(BadAddress(without_credentials(text)));
        }
        if let Some(path) = text.strip_prefix("unix://") {
            let path = Path::new(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path.into()))
            } else {
                Err(BadAddress(text.into()))
            };
        }
        let mut url = Url::parse(text).map_err(|_| BadAddress(without_credentials(text)))?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
            return Err(BadAddress(without_credentials(text)));
        }
        url.set_path(url.path().trim_end_matches('/').to_owned().as_str());
        Ok(Self::Url(url))
    }

    /// Returns the host of a URL.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Self::Url(url) => url.host_str(),
            Self::Unix(_) => None,
        }
    }

    /// Returns the base URL of Vault's HTTP API, which ends in `/v1`. Paths are appended to the
    /// base.
    pub(crate) fn base(&self) -> String {
        match self {
            Self::Url(url) => format!("{}/v1", url.as_str().trim_end_matches('/')),
            Self::Unix(_) => "http://localhost/v1".to_owned(),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = BadAddress;

    fn try_from(text: String) -> Result<Self, BadAddress> {
        Self::parse(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

/// Returns the text for an error message, without a user name and password.
fn without_credentials(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => text.to_owned(),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url.as_str().trim_end_matches('/')),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn urls_and_sockets_are_parsed() {
        let base = |text| Address::parse(text).expect(text).base();
        assert_eq!(base("https://vault:8200/"), "https://vault:8200/v1");
        assert_eq!(base("http://127.0.0.1:8200"), "http://127.0.0.1:8200/v1");
        assert_eq!(base("https://host/prefix/"), "https://host/prefix/v1");
        assert_eq!(base("unix:///run/agent.sock"), "http://localhost/v1");
    }

    #[test]
    fn texts_of_one_url_are_one_address() {
        let parsed = |text| Address::parse(text).expect(text);
        for (one, other) in [
            ("https://Vault.Example:443/", "https://vault.example"),
            ("HTTP://vault:80", "http://vault"),
            ("https://[FD00:0:0::1]:8200", "https://[fd00::1]:8200"),
            ("http://0x7f.1:8200", "http://127.0.0.1:8200"),
            ("https://vault:8200/a/../b/", " https://vault:8200/b\n"),
            ("unix:///run//a.sock", "unix:///run/./a.sock"),
        ] {
            assert_eq!(parsed(one), parsed(other));
        }
        for (one, other) in [
            ("https://vault", "http://vault"),
            ("https://vault:8200", "https://vault"),
            ("https://vault.", "https://vault"),
            ("https://vault/b", "https://vault"),
            ("https://vault/B", "https://vault/b"),
            ("http://[::ffff:127.0.0.1]:1", "http://127.0.0.1:1"),
            ("http://localhost:1", "http://127.0.0.1:1"),
            ("unix:///run/b/../a.sock", "unix:///run/a.sock"),
        ] {
            assert_ne!(parsed(one), parsed(other));
        }
    }

    #[test]
    fn characters_that_cannot_be_seen_are_refused_and_shown() {
        for text in [
            "https://va\tult",
            "https://va\nult",
            "https://vau\u{200b}lt",
            "unix:///a\nb",
            "http://a\u{202e}b",
        ] {
            let error = Address::parse(text).expect_err(text).to_string();
            assert!(!error.chars().any(super::is_unprintable), "{error:?}");
        }
    }

    #[test]
    fn other_addresses_are_refused_without_repeating_a_password() {
        for text in
            ["vault:8200", "", "ftp://h", "https://", "https://h?x=1", "unix://relative", "https://u:pw@h"]
        {
            let error = Address::parse(text).expect_err(text).to_string();
            assert!(!error.contains("pw"), "{error}");
        }
    }
}
