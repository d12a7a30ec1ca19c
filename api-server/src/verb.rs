//! The verbs that requests for objects are authorized and audited by.

use http::Method;

use crate::api_error::ApiError;
use crate::route::ObjectScope;

/// A verb of Kubernetes' API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    /// Returns Kubernetes' verb for a request's method (`RequestInfoFactory` of k8s.io/apiserver).
    ///
    /// # Errors
    /// 405 for a method that stands for no verb, such as HEAD.
    pub(crate) fn of_request(
        method: &Method,
        scope: ObjectScope<'_>,
        is_watch: bool,
    ) -> Result<Self, ApiError> {
        Ok(match (method.as_str(), scope.name.is_some()) {
            ("GET", _) if is_watch => Self::Watch,
            ("GET", true) => Self::Get,
            ("GET", false) => Self::List,
            ("POST", _) => Self::Create,
            ("PUT", _) => Self::Update,
            ("PATCH", _) => Self::Patch,
            ("DELETE", true) => Self::Delete,
            ("DELETE", false) => Self::DeleteCollection,
            _ => return Err(ApiError::method_not_allowed("secrets in Vault are read by GET alone")),
        })
    }

    /// Returns the verb as Kubernetes writes it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::Verb;
    use crate::route::ObjectScope;

    #[test]
    fn every_method_has_kubernetes_verb() {
        let one = ObjectScope { namespace: Some("ns"), name: Some("db") };
        let all = ObjectScope { namespace: Some("ns"), name: None };
        for (method, scope, watch, expected) in [
            (Method::GET, one, false, "get"),
            (Method::GET, all, false, "list"),
            (Method::GET, all, true, "watch"),
            (Method::GET, one, true, "watch"),
            (Method::POST, all, false, "create"),
            (Method::PUT, one, false, "update"),
            (Method::PATCH, one, false, "patch"),
            (Method::DELETE, one, false, "delete"),
            (Method::DELETE, all, false, "deletecollection"),
        ] {
            let verb = Verb::of_request(&method, scope, watch).expect("a verb");
            assert_eq!(verb.as_str(), expected, "{method}");
        }
        for method in [Method::HEAD, Method::OPTIONS, Method::TRACE, Method::CONNECT] {
            assert_eq!(Verb::of_request(&method, one, false).expect_err("no verb").code(), 405);
        }
    }
}
