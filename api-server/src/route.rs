//! Which resource a path names. kube-apiserver authorizes a path as the client sent it and passes
//! it on, so nothing is normalised here: a path that is not exactly a known one names nothing.

use crate::api::{GROUP, RESOURCE, VERSION};

/// A known path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `/livez` and `/healthz`.
    Alive,
    /// `/readyz`.
    Ready,
    /// `/metrics`.
    Metrics,
    /// `/apis`: the list of groups.
    Groups,
    /// `/apis/G`.
    Group,
    /// `/apis/G/V`: the list of resources.
    Resources,
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/openapi/v3`: the list of documents.
    OpenApiV3Index,
    /// `/openapi/v3/apis/G/V`.
    OpenApiV3,
    /// The objects of the API.
    Objects(ObjectScope<'a>),
}

/// The objects that a request is for: those of one namespace or of all, with one name or with any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ObjectScope<'a> {
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
}

/// Returns the route of a path; `None` for an unknown path.
pub(crate) fn route(path: &str) -> Option<Route<'_>> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').take(8).collect();
    Some(match segments[..] {
        ["livez" | "healthz"] => Route::Alive,
        ["readyz"] => Route::Ready,
        ["metrics"] => Route::Metrics,
        ["apis"] => Route::Groups,
        ["apis", GROUP] => Route::Group,
        ["apis", GROUP, VERSION] => Route::Resources,
        ["openapi", "v2"] => Route::OpenApiV2,
        ["openapi", "v3"] => Route::OpenApiV3Index,
        ["openapi", "v3", "apis", GROUP, VERSION] => Route::OpenApiV3,
        ["apis", GROUP, VERSION, RESOURCE] => Route::Objects(ObjectScope { namespace: None, name: None }),
        ["apis", GROUP, VERSION, "namespaces", namespace, RESOURCE] if is_label(namespace) => {
            Route::Objects(ObjectScope { namespace: Some(namespace), name: None })
        }
        ["apis", GROUP, VERSION, "namespaces", namespace, RESOURCE, name]
            if is_label(namespace) && is_name(name) =>
        {
            Route::Objects(ObjectScope { namespace: Some(namespace), name: Some(name) })
        }
        _ => return None,
    })
}

/// Returns whether a text is a DNS-1123 subdomain, as names of objects are.
pub(crate) fn is_name(text: &str) -> bool {
    let is_part = |part: &str| part.len() <= 253 && is_alphanumeric_within(part);
    !text.is_empty() && text.len() <= 253 && text.split('.').all(is_part)
}

/// Returns whether a text is a DNS-1123 label, as names of namespaces are.
fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_alphanumeric_within(text)
}

fn is_alphanumeric_within(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::{ObjectScope, Route, route};

    const BASE: &str = "/apis/custom.secrets.k8s.io/v1alpha1";

    #[test]
    fn known_paths() {
        assert_eq!(route("/livez"), Some(Route::Alive));
        assert_eq!(route("/apis"), Some(Route::Groups));
        assert_eq!(route(BASE), Some(Route::Resources));
        assert_eq!(route(&format!("/openapi/v3{BASE}")), Some(Route::OpenApiV3));
        let all = ObjectScope { namespace: None, name: None };
        assert_eq!(route(&format!("{BASE}/secrets")), Some(Route::Objects(all)));
        let one = ObjectScope { namespace: Some("team-a"), name: Some("db.v1") };
        assert_eq!(route(&format!("{BASE}/namespaces/team-a/secrets/db.v1")), Some(Route::Objects(one)));
    }

    #[test]
    fn nothing_is_normalised() {
        let long = "a".repeat(10_000);
        let names = [
            "",
            ".",
            "..",
            "%2e%2e",
            "a%2fb",
            "A",
            "db.",
            ".db",
            "-a",
            "a_b",
            "db/",
            "db/status",
            "db//",
            "ä",
            "a b",
            &long,
        ];
        for name in names {
            assert_eq!(route(&format!("{BASE}/namespaces/ns/secrets/{name}")), None, "{name}");
        }
        for path in [
            "",
            "/",
            "//apis",
            "/apis/",
            "apis",
            "/APIS",
            "/apis/other/v1",
            "/livez/ping",
            "/apis/custom.secrets.k8s.io/v1alpha1/secrets/db",
            "/apis/custom.secrets.k8s.io/v1alpha1/namespaces/ns",
            "/apis/custom.secrets.k8s.io/v1alpha1/namespaces//secrets",
            "/apis/custom.secrets.k8s.io/v1alpha1/namespaces/a.b/secrets",
            "/apis/custom.secrets.k8s.io/v1alpha1/namespaces/../secrets/db",
            "/apis/custom.secrets.k8s.io/v1alpha1/watch/namespaces/ns/secrets",
        ] {
            assert_eq!(route(path), None, "{path}");
        }
    }
}
