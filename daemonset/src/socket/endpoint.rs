//! The path of the socket, as `-endpoint` names it.

use std::path::{Path, PathBuf};

/// Longest provider name that the driver looks for, in characters.
const MAX_NAME: usize = 30;

/// An endpoint that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EndpointError {
    /// The scheme is not `unix`.
    #[error("endpoint {0:?}: only unix sockets are served; give unix:///path or a plain path")]
    Scheme(String),
    /// `unix://` is followed by a host or a relative path.
    #[error("endpoint {0:?}: what follows unix:// must begin with /")]
    NotAbsolute(String),
    /// The endpoint is a directory or empty.
    #[error("endpoint {0:?} names no file")]
    NoFile(String),
}

/// Parses `unix:///path`, `unix:path` or a plain path.
///
/// # Errors
/// The endpoint has another form.
pub(crate) fn parse_endpoint(endpoint: &str) -> Result<PathBuf, EndpointError> {
    let given = || endpoint.to_owned();
    let path = match endpoint.strip_prefix("unix://") {
        Some(path) if !path.starts_with('/') => return Err(EndpointError::NotAbsolute(given())),
        Some(path) => path,
        None => endpoint.strip_prefix("unix:").unwrap_or(endpoint),
    };
    if path.contains("://") || path.starts_with("unix-abstract:") {
        return Err(EndpointError::Scheme(given()));
    }
    let file = Path::new(path);
    if path.ends_with('/') || file.file_name().is_none() {
        return Err(EndpointError::NoFile(given()));
    }
    Ok(file.to_owned())
}

/// Returns whether the driver finds a provider at a file of this name: it looks for
/// `^[a-zA-Z0-9_-]{0,30}\.sock$`.
pub(crate) fn is_discoverable(path: &Path) -> bool {
    let file = path.file_name().and_then(|name| name.to_str());
    let Some(provider) = file.and_then(|name| name.strip_suffix(".sock")) else {
        return false;
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    provider.len() <= MAX_NAME && provider.chars().all(legal)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{EndpointError, is_discoverable, parse_endpoint};

    #[test]
    fn a_path_may_be_given_in_three_ways() {
        for endpoint in ["unix:///run/vault.sock", "unix:/run/vault.sock", "/run/vault.sock"] {
            assert_eq!(parse_endpoint(endpoint), Ok("/run/vault.sock".into()));
        }
        assert_eq!(parse_endpoint("unix:vault.sock"), Ok("vault.sock".into()));
    }

    #[test]
    fn anything_else_is_refused() {
        for (endpoint, error) in [
            ("tcp://localhost:80", EndpointError::Scheme as fn(String) -> _),
            ("unix-abstract:vault", EndpointError::Scheme),
            ("unix://vault.sock", EndpointError::NotAbsolute),
            ("", EndpointError::NoFile),
            ("unix:", EndpointError::NoFile),
            ("/", EndpointError::NoFile),
            ("/run/", EndpointError::NoFile),
            ("/run/..", EndpointError::NoFile),
        ] {
            assert_eq!(parse_endpoint(endpoint), Err(error(endpoint.into())));
        }
    }

    #[test]
    fn the_driver_finds_provider_names_only() {
        let name = |length: usize| format!("/run/{}.sock", "a".repeat(length));
        for found in ["/run/vault.sock", "vault_2-b.sock", "/run/.sock", &name(30)] {
            assert!(is_discoverable(Path::new(found)), "{found}");
        }
        for unseen in ["/run/vault.socket", "/run/vault", "/run/a.b.sock", "/run/é.sock", &name(31)] {
            assert!(!is_discoverable(Path::new(unseen)), "{unseen}");
        }
    }
}
