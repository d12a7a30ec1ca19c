//! Which resource a path names. kube-apiserver authorizes a path as the client sent it and passes
//! it on, so nothing is normalised here: a path that is not exactly a known one names nothing.

use coffer_kubernetes::{is_namespace_name, is_object_name};

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
        ["apis", GROUP, VERSION, "namespaces", namespace, RESOURCE] if is_namespace_name(namespace) => {
            Route::Objects(ObjectScope { namespace: Some(namespace), name: None })
        }
        ["apis", GROUP, VERSION, "namespaces", namespace, RESOURCE, name]
            if is_namespace_name(namespace) && is_object_name(name) =>
        {
            Route::Objects(ObjectScope { namespace: Some(namespace), name: Some(name) })
        }
        _ => return None,
    })
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
