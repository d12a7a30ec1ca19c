//! The fuzz target of requests. It is compiled for `cargo fuzz` alone.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode_str;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use crate::accept::{accepts_json, discovery_form, object_form};
use crate::api_error::ApiError;
use crate::client_certificate::ClientAuthorities;
use crate::front_proxy::user;
use crate::query::Query;
use crate::route::{ObjectScope, Route, route};
use crate::selectors::{FieldSelector, LabelSelector};
use crate::trust::FrontProxy;
use crate::verb::Verb;

/// Reads a request. `headers` has a header in each line.
///
/// # Panics
/// If something is taken for what it is not.
pub fn request(method: &str, path: &str, query: &str, headers: &[u8]) {
    let objects = check_route(path);
    match Query::parse(query) {
        Ok(query) => {
            check_fields(&query.fields);
            check_labels(&query.labels);
            if let (Some(scope), Ok(method)) = (objects, Method::from_bytes(method.as_bytes())) {
                let verb = Verb::of_request(&method, scope, query.watch);
                assert!(verb.is_ok_and(|verb| !verb.as_str().is_empty()) || method != Method::GET);
            }
        }
        Err(error) => check_error(&ApiError::bad_request(error.to_string())),
    }
    let mut map = HeaderMap::new();
    for line in headers.split(|byte| *byte == b'\n') {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let name = HeaderName::from_bytes(&line[..at]);
        let value = HeaderValue::from_bytes(line.get(at + 1..).unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    let _ = (object_form(&map, true), object_form(&map, false), discovery_form(&map), accepts_json(&map));
    check_user(&map);
}

fn check_route(path: &str) -> Option<ObjectScope<'_>> {
    const BASE: &str = "/apis/custom.secrets.k8s.io/v1alpha1";

    let Some(Route::Objects(scope)) = route(path) else { return None };
    let known = match (scope.namespace, scope.name) {
        (None, None) => format!("{BASE}/secrets"),
        (Some(namespace), None) => format!("{BASE}/namespaces/{namespace}/secrets"),
        (Some(namespace), Some(name)) => format!("{BASE}/namespaces/{namespace}/secrets/{name}"),
        (None, Some(_)) => panic!("a name without a namespace"),
    };
    assert_eq!(path, known, "a path is not as it is read");
    Some(scope)
}

fn check_fields(fields: &FieldSelector) {
    if let Some(name) = fields.name() {
        assert!(!fields.matches("ns", &format!("{name}x")), "a list by name selects another");
    }
    let terms = fields.requirements().unwrap_or_default();
    let terms: Vec<String> = terms
        .into_iter()
        .map(|term| {
            let value = term.values.unwrap_or_default().concat();
            let value = value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            format!("{}{}{value}", term.key, if term.operator == "In" { "=" } else { "!=" })
        })
        .collect();
    let again = FieldSelector::parse(&terms.join(","));
    assert!(
        again.is_ok_and(|again| sorted(again.requirements()) == sorted(fields.requirements())),
        "{terms:?}"
    );
}

fn check_labels(labels: &LabelSelector) {
    let requirements = labels.requirements();
    let terms: Vec<String> = requirements
        .iter()
        .flatten()
        .map(|term| {
            let values = term.values.clone().unwrap_or_default().join(",");
            match term.operator.as_str() {
                "In" => format!("{} in ({values})", term.key),
                "NotIn" => format!("{} notin ({values})", term.key),
                "Exists" => term.key.clone(),
                _ => format!("!{}", term.key),
            }
        })
        .collect();
    let again = LabelSelector::parse(&terms.join(","));
    assert!(again.is_ok_and(|again| again.requirements() == requirements), "{terms:?}");
    let _ = labels.matches(&BTreeMap::new());
    assert!(!labels.is_empty() || labels.matches(&BTreeMap::new()));
}

fn sorted<T: std::fmt::Debug>(terms: Option<Vec<T>>) -> Vec<String> {
    let mut terms: Vec<_> = terms.iter().flatten().map(|term| format!("{term:?}")).collect();
    terms.sort();
    terms
}

fn check_error(error: &ApiError) {
    let response = error.response();
    let body = serde_json::from_slice::<serde_json::Value>(response.body());
    assert!(body.is_ok_and(|body| body["message"].is_string()));
}

fn check_user(headers: &HeaderMap) {
    let is_text = |name: &str, value: &HeaderValue| {
        str::from_utf8(value.as_bytes()).is_ok() && percent_decode_str(name).decode_utf8().is_ok()
    };
    let all_text = headers.iter().all(|(name, value)| is_text(name.as_str(), value));
    match user(front_proxy(), headers) {
        Ok(Some(user)) => {
            assert!(!user.name.is_empty());
            if let Some((namespace, name)) = user.service_account() {
                assert_eq!(user.name, format!("system:serviceaccount:{namespace}:{name}"));
            }
            let groups = user.groups.len();
            assert!(user.authenticated().groups.len() <= groups + 1);
        }
        Ok(None) => {}
        Err(_) => assert!(!all_text, "headers in UTF-8 are refused"),
    }
}

/// Returns a front proxy with Kubernetes' usual headers.
fn front_proxy() -> &'static FrontProxy {
    static PROXY: OnceLock<FrontProxy> = OnceLock::new();
    PROXY.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem =
            KeyPair::generate().and_then(|key| params.self_signed(&key)).map(|authority| authority.pem());
        let authorities = ClientAuthorities::parse(&pem.unwrap_or_default());
        let Ok(authorities) = authorities else { panic!("an authority") };
        FrontProxy {
            authorities,
            allowed_names: Vec::new(),
            user: vec![HeaderName::from_static("x-remote-user")],
            uid: vec![HeaderName::from_static("x-remote-uid")],
            group: vec![HeaderName::from_static("x-remote-group")],
            extra_prefixes: vec!["x-remote-extra-".to_owned()],
        }
    })
}
