//! The URLs of proxies, as Go's `net/url` parses them.
//!
//! The crate `url` is not used for them: by the rules of browsers it reads `proxy:3128` as a scheme,
//! and changes addresses that Go takes as they are.

use std::net::IpAddr;

use idna::AsciiDenyList;

/// The parts of a URL that say how a proxy is reached.
pub(super) struct ProxyUrl {
    /// The scheme, in lower case; empty if there is none.
    pub(super) scheme: String,
    /// The user name and password.
    pub(super) user: Option<(Vec<u8>, Vec<u8>)>,
    /// The host, without brackets.
    pub(super) host: String,
    /// The digits of the port, if there are any.
    pub(super) port: String,
    /// Whether there is neither host nor port.
    pub(super) is_empty: bool,
}

/// What is wrong with the URL of a proxy. The texts repeat no part of it, which may be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum UrlFault {
    #[error("it has a control character")]
    ControlCharacter,
    #[error("it is no URL such as http://HOST:PORT")]
    NoUrl,
    #[error("it has no host: write http://HOST:PORT")]
    NoHost,
    #[error("its user name or password has a character that must be written as %XX")]
    UserInfo,
    #[error("it has a % without two hexadecimal digits")]
    Escape,
    #[error("its host has a character that no host has")]
    Host,
    #[error("its port is no number")]
    Port,
    #[error("its host has a colon: write [ADDRESS]:PORT for an IPv6 address")]
    Colons,
}

impl ProxyUrl {
    /// Parses a URL, or `HOST:PORT`, for which the scheme `http` is assumed.
    ///
    /// # Errors
    /// [`BadProxyUrl`]. Go takes some of these texts for the URL of a host that cannot be meant, such
    /// as `http`, and then fails to connect.
    pub(super) fn parse(text: &str) -> Result<Self, BadProxyUrl> {
        let with_scheme = || parse(&format!("http://{text}"));
        match parse(text) {
            Ok(url) if !url.scheme.is_empty() && !url.is_empty => Ok(url),
            Ok(_) => match with_scheme() {
                Ok(url) if url.is_empty || url.is_scheme_of(text) => {
                    Err(BadProxyUrl::of_use(UrlFault::NoHost))
                }
                other => other.map_err(BadProxyUrl::of_use),
            },
            Err(fault) => match with_scheme() {
                Ok(url) if url.is_scheme_of(text) => Err(BadProxyUrl::of_use(fault)),
                Ok(url) => Ok(url),
                Err(_) => Err(BadProxyUrl { fault, is_ignored_by_go: true }),
            },
        }
    }

    /// Returns whether the host is the scheme that `text` begins with.
    fn is_scheme_of(&self, text: &str) -> bool {
        self.port.is_empty() && text.get(self.host.len()..).is_some_and(|rest| rest.starts_with(":/"))
    }
}

/// A text that is no URL of a proxy.
pub(super) struct BadProxyUrl {
    /// What is wrong.
    pub(super) fault: UrlFault,
    /// Whether Go's `net/http` treats a variable with this value as not set.
    pub(super) is_ignored_by_go: bool,
}

impl BadProxyUrl {
    fn of_use(fault: UrlFault) -> Self {
        Self { fault, is_ignored_by_go: false }
    }
}

fn parse(text: &str) -> Result<ProxyUrl, UrlFault> {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err(UrlFault::ControlCharacter);
    }
    unescape(fragment)?;
    let (scheme, rest) = split_scheme(text)?;
    let rest = rest.split('?').next().unwrap_or_default();
    let mut url = ProxyUrl {
        scheme: scheme.to_ascii_lowercase(),
        user: None,
        host: String::new(),
        port: String::new(),
        is_empty: true,
    };
    if !rest.starts_with('/') {
        let first = rest.split('/').next().unwrap_or_default();
        return if scheme.is_empty() && first.contains(':') { Err(UrlFault::NoUrl) } else { Ok(url) };
    }
    let mut path = rest;
    if let Some(after) = rest.strip_prefix("//")
        && (!scheme.is_empty() || !after.starts_with('/'))
    {
        let end = after.find('/').unwrap_or(after.len());
        path = &after[end..];
        url.set_authority(&after[..end])?;
    }
    unescape(path)?;
    Ok(url)
}

/// Splits at the first colon, if there is a scheme before it.
fn split_scheme(text: &str) -> Result<(&str, &str), UrlFault> {
    for (i, c) in text.bytes().enumerate() {
        match c {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if i > 0 => {}
            b':' if i == 0 => return Err(UrlFault::NoUrl),
            b':' => return Ok((&text[..i], &text[i + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

impl ProxyUrl {
    fn set_authority(&mut self, authority: &str) -> Result<(), UrlFault> {
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        self.is_empty = host.is_empty();
        self.set_host(host)?;
        if let Some(user) = user {
            if !user.chars().all(|c| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c)) {
                return Err(UrlFault::UserInfo);
            }
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            self.user = Some((unescape(name)?, unescape(password)?));
        }
        Ok(())
    }

    fn set_host(&mut self, text: &str) -> Result<(), UrlFault> {
        let (host, port) = match text.rfind('[') {
            Some(0) => {
                let end = text.rfind(']').ok_or(UrlFault::Host)?;
                let host = unescape_host(&text[1..end])?;
                let address = host.split('%').next().unwrap_or_default().parse::<IpAddr>();
                if !address.is_ok_and(|address| address.is_ipv6()) {
                    return Err(UrlFault::Host);
                }
                (host, &text[end + 1..])
            }
            Some(_) => return Err(UrlFault::Host),
            None => {
                let first = text.find(':').unwrap_or(text.len());
                let colon = match self.scheme.as_str() {
                    "http" | "https" => first,
                    _ => text.rfind(':').unwrap_or(first),
                };
                if text[colon..].rfind(':').is_some_and(|other| other > 0) {
                    return Err(UrlFault::Colons);
                }
                (unescape_host(&text[..colon])?, &text[colon..])
            }
        };
        let digits = port.strip_prefix(':').unwrap_or_default();
        if !(port.is_empty() || port.starts_with(':')) || !digits.bytes().all(|c| c.is_ascii_digit()) {
            return Err(UrlFault::Port);
        }
        self.host = to_ascii(&host).unwrap_or(host);
        self.port = digits.to_owned();
        Ok(())
    }
}

/// Decodes `%XX`.
fn unescape(text: &str) -> Result<Vec<u8>, UrlFault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let digit = |i: usize| after.get(i).and_then(|c| char::from(*c).to_digit(16));
            let (Some(high), Some(low)) = (digit(0), digit(1)) else { return Err(UrlFault::Escape) };
            bytes.push((high << 4 | low) as u8);
            rest = &after[2..];
        } else {
            bytes.push(byte);
        }
    }
    Ok(bytes)
}

/// Decodes `%XX` in a host, where it may stand only for bytes that are not ASCII, and before a zone.
fn unescape_host(text: &str) -> Result<String, UrlFault> {
    let is_allowed =
        |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:[]<>\"%".contains(c);
    if !text.chars().all(is_allowed) {
        return Err(UrlFault::Host);
    }
    for (at, _) in text.match_indices('%') {
        // the text may end here
        let escaped = &text.as_bytes()[at + 1..];
        let is_high = |byte: &u8| char::from(*byte).to_digit(16).is_some_and(|high| high >= 8);
        if !escaped.starts_with(b"25") && !escaped.first().is_some_and(is_high) {
            return Err(UrlFault::Escape);
        }
    }
    String::from_utf8(unescape(text)?).map_err(|_| UrlFault::Host)
}

/// Returns a domain name in ASCII, as it is looked up and compared.
pub(super) fn to_ascii(name: &str) -> Option<String> {
    if name.is_ascii() {
        return Some(name.to_owned());
    }
    idna::domain_to_ascii_cow(name.as_bytes(), AsciiDenyList::STD3).ok().map(Into::into)
}
