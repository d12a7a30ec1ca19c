//! A request to Vault, and what tells two requests apart.

use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

use crate::Secret;

/// One request to Vault. Two requests are equal only where everything that Vault sees is equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Path below `/v1/`, decoded.
    pub path: String,
    /// Query parameters, sorted.
    pub query: Vec<(String, String)>,
    /// JSON body.
    pub body: Option<Secret>,
}

/// The methods that a SecretProviderClass may use. DELETE and PATCH are left out: a mount is repeated again
/// and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads; the default.
    Get,
    /// Lists keys.
    List,
    /// Issues something.
    Post,
    /// Issues something.
    Put,
}

/// A digest of everything that Vault sees of a request: it can be kept where the request itself must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub [u8; SHA256_OUTPUT_LEN]);

impl Request {
    /// Returns a GET without a query.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::Get, path: path.into(), query: Vec::new(), body: None }
    }

    /// Returns a request with a JSON body.
    pub fn with_body(method: Method, path: impl Into<String>, body: Secret) -> Self {
        Self { method, path: path.into(), query: Vec::new(), body: Some(body) }
    }

    /// Returns the digest of everything that Vault sees of the request.
    #[must_use]
    pub fn id(&self) -> RequestId {
        let arguments = self.query.len().to_be_bytes();
        let parts = [self.method.as_str().as_bytes(), self.path.as_bytes(), &arguments];
        let query = self.query.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let body = self.body.iter().map(Secret::expose);
        let mut context = Context::new(&SHA256);
        for part in parts.into_iter().chain(query).chain(body) {
            // with its length, so that it counts which byte is of which part
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let mut id = [0; SHA256_OUTPUT_LEN];
        id.copy_from_slice(context.finish().as_ref());
        RequestId(id)
    }

    /// Returns whether Vault makes something new at this request, so that it must not be repeated.
    #[must_use]
    pub fn issues(&self) -> bool {
        self.method.has_body()
    }
}

impl Method {
    /// Parses a class's `method`, in any case; an empty one is GET.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_uppercase().as_str() {
            "" | "GET" => Self::Get,
            "LIST" => Self::List,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            _ => return None,
        })
    }

    /// Returns whether arguments are sent with the method, as a JSON body.
    #[must_use]
    pub fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put)
    }

    /// Returns the capability that a policy has to grant for the method.
    #[must_use]
    pub fn capability(self) -> &'static str {
        match self {
            Self::Get => "read",
            Self::List => "list",
            Self::Post | Self::Put => "update",
        }
    }

    /// Returns the method's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::List => "LIST",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// Why a path is refused before it is sent to Vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// The path has no characters.
    #[error("is empty")]
    Empty,
    /// A control character could add a line to a request.
    #[error("holds a control character")]
    ControlCharacter,
    /// Such a segment could lead to another path.
    #[error("has an empty, \".\" or \"..\" segment")]
    Segment,
}

/// Checks a path whose segments go to Vault as they are.
///
/// # Errors
/// [`BadPath`] says what is wrong with it.
pub fn check_segments(path: &str) -> Result<(), BadPath> {
    if path.is_empty() {
        return Err(BadPath::Empty);
    }
    if path.chars().any(char::is_control) {
        return Err(BadPath::ControlCharacter);
    }
    if path.split('/').any(|segment| matches!(segment, "." | ".." | "")) {
        return Err(BadPath::Segment);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Method, Request};
    use crate::Secret;

    #[test]
    fn requests_have_one_id_only_where_vault_sees_the_same() {
        let one = Request::get("a/b");
        let query = vec![("k".to_owned(), "v".to_owned())];
        let others = [
            Request { method: Method::List, ..one.clone() },
            Request { path: "a/bc".into(), ..one.clone() },
            Request { query: query.clone(), ..one.clone() },
            Request { query: vec![("kv".into(), String::new())], ..one.clone() },
            Request { body: Some(Secret::from("{}")), ..one.clone() },
        ];
        assert_eq!(one.id(), one.clone().id());
        for other in &others {
            assert_ne!(one.id(), other.id(), "{other:?}");
        }
        assert_ne!(others[2].id(), others[3].id());
    }
}
