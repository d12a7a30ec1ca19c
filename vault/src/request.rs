//! Requests to Vault, and digests by which requests are compared.

use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

use crate::Secret;

/// A request to Vault. Two requests are equal if method, path, query and body are equal.
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

/// The methods that a SecretProviderClass may use. DELETE and PATCH are not allowed, since a mount
/// is repeated many times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads; the default.
    Get,
    /// Lists keys.
    List,
    /// Sends arguments in a body; Vault may issue something.
    Post,
    /// Same as [`Method::Post`] for Vault.
    Put,
}

/// A SHA-256 digest of method, path, query and body. The digest may be stored where the request,
/// which may hold secrets, must not be.
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

    /// Returns the digest of method, path, query and body.
    #[must_use]
    pub fn id(&self) -> RequestId {
        let arguments = self.query.len().to_be_bytes();
        let parts = [self.method.as_str().as_bytes(), self.path.as_bytes(), &arguments];
        let query = self.query.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let body = self.body.iter().map(Secret::expose);
        let mut context = Context::new(&SHA256);
        for part in parts.into_iter().chain(query).chain(body) {
            // the length before each part makes "ab" + "c" differ from "a" + "bc"
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let mut id = [0; SHA256_OUTPUT_LEN];
        id.copy_from_slice(context.finish().as_ref());
        RequestId(id)
    }

    /// Returns whether Vault issues something at this request by its method: a POST or PUT, which
    /// must not be repeated.
    #[must_use]
    pub fn issues(&self) -> bool {
        self.method.has_body()
    }
}

impl Method {
    /// Parses the field `method` of a class, in upper or lower case; an empty text is GET. Returns
    /// `None` for other methods.
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

    /// Returns whether the method sends arguments as a JSON body.
    #[must_use]
    pub fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put)
    }

    /// Returns the capability that a policy must grant for the method.
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
    /// The path is empty.
    #[error("is empty")]
    Empty,
    /// The path has a control character, which could add a line to a request.
    #[error("holds a control character")]
    ControlCharacter,
    /// The path has an empty, `.` or `..` segment, which could lead to another path.
    #[error("has an empty, \".\" or \"..\" segment")]
    Segment,
}

/// Checks that a path can be sent to Vault unchanged.
///
/// # Errors
/// [`BadPath`] names the rule that the path breaks.
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
    fn requests_have_the_same_id_only_if_they_are_equal() {
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
