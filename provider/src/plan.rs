//! Objects become requests to Vault, each distinct one made once a read.

use crate::Secret;
use crate::class::Object;
use crate::digest::{Digest, digest_of_parts};

/// The requests that a class needs, and which of them each object takes its file from.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The distinct requests, in the order of the objects.
    pub requests: Vec<&'a Request>,
    /// For each object the index of its request.
    pub request_of: Vec<usize>,
}

/// One request to Vault. Requests are the same only where everything that Vault sees is the same.
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

/// The methods that a class may use. DELETE and PATCH are none of them: a mount is repeated for ever.
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

impl<'a> Plan<'a> {
    /// Plans the requests of a class's objects.
    #[must_use]
    pub fn new(objects: &'a [Object]) -> Self {
        let mut requests: Vec<&Request> = Vec::new();
        let request_of = objects
            .iter()
            .map(|object| {
                requests.iter().position(|known| **known == object.request).unwrap_or_else(|| {
                    requests.push(&object.request);
                    requests.len() - 1
                })
            })
            .collect();
        Self { requests, request_of }
    }

    /// The objects that take their file from a request.
    pub(crate) fn objects_of(&self, request: usize) -> impl Iterator<Item = usize> {
        self.request_of.iter().enumerate().filter(move |(_, n)| **n == request).map(|(at, _)| at)
    }
}

/// What tells requests apart, in a form that can be kept: a digest of everything that Vault sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RequestId(pub(crate) Digest);

impl Request {
    pub(crate) fn id(&self) -> RequestId {
        let arguments = self.query.len().to_be_bytes();
        let parts = [self.method.as_str().as_bytes(), self.path.as_bytes(), &arguments];
        let query = self.query.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let body = self.body.iter().map(Secret::expose);
        RequestId(digest_of_parts(parts.into_iter().chain(query).chain(body)))
    }

    /// Whether Vault makes something new at this request, so that it must not be repeated.
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

    /// Whether arguments are sent with it, as a JSON body.
    #[must_use]
    pub fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put)
    }

    /// What a policy has to allow for it.
    #[must_use]
    pub fn capability(self) -> &'static str {
        match self {
            Self::Get => "read",
            Self::List => "list",
            Self::Post | Self::Put => "update",
        }
    }

    /// The method's name.
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

#[cfg(test)]
mod tests {
    use super::{Method, Request};
    use crate::Secret;

    #[test]
    fn requests_have_one_id_only_where_vault_sees_the_same() {
        let one = Request { method: Method::Get, path: "a/b".into(), query: Vec::new(), body: None };
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
