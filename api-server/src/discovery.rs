//! Discovery: which group, version and resource there is.
//!
//! Static and in memory: were it to fail, kube-apiserver would call the version stale, and then every deletion of a
//! namespace in the cluster would hang.

use bytes::Bytes;
use http::{HeaderMap, Response};
use serde_json::{Value, json};

use crate::accept::{Discovery, discovery_form, takes_json};
use crate::api::{GROUP, GROUP_VERSION, KIND, RESOURCE, SINGULAR, VERSION};
use crate::failure::Failure;
use crate::respond::Document;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const JSON: &str = "application/json";

/// The documents, made once.
pub(crate) struct Documents {
    aggregated: Document,
    groups: Document,
    group: Document,
    resources: Document,
}

impl Documents {
    pub(crate) fn new() -> Self {
        let group_list = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(false)]});
        Self {
            aggregated: Document::new(AGGREGATED, aggregated().to_string()),
            groups: Document::new(JSON, group_list.to_string()),
            group: Document::new(JSON, group(true).to_string()),
            resources: Document::new(JSON, resources().to_string()),
        }
    }

    /// `/apis`
    pub(crate) fn groups(&self, headers: &HeaderMap) -> Result<Response<Bytes>, Failure> {
        match discovery_form(headers) {
            Some(Discovery::Aggregated) => Ok(self.aggregated.response(headers)),
            Some(Discovery::Legacy) => Ok(self.groups.response(headers)),
            None => Err(Failure::not_acceptable(&format!("{AGGREGATED}, {JSON}"))),
        }
    }

    /// `/apis/G`
    pub(crate) fn group(&self, headers: &HeaderMap) -> Result<Response<Bytes>, Failure> {
        in_json(&self.group, headers)
    }

    /// `/apis/G/V`
    pub(crate) fn resources(&self, headers: &HeaderMap) -> Result<Response<Bytes>, Failure> {
        in_json(&self.resources, headers)
    }
}

/// The document, for a client that takes JSON.
pub(crate) fn in_json(document: &Document, headers: &HeaderMap) -> Result<Response<Bytes>, Failure> {
    if takes_json(headers) { Ok(document.response(headers)) } else { Err(Failure::not_acceptable(JSON)) }
}

fn aggregated() -> Value {
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [{
            "metadata": {"name": GROUP, "creationTimestamp": null},
            "versions": [{
                "version": VERSION,
                "freshness": "Current",
                "resources": [{
                    "resource": RESOURCE,
                    "responseKind": {"group": GROUP, "version": VERSION, "kind": KIND},
                    "scope": "Namespaced",
                    "singularResource": SINGULAR,
                    "verbs": ["get", "list"],
                }],
            }],
        }],
    })
}

fn group(with_kind: bool) -> Value {
    let version = json!({"groupVersion": GROUP_VERSION, "version": VERSION});
    let mut group = json!({"name": GROUP, "versions": [version], "preferredVersion": version});
    if with_kind {
        group["kind"] = "APIGroup".into();
        group["apiVersion"] = "v1".into();
    }
    group
}

fn resources() -> Value {
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": GROUP_VERSION,
        "resources": [{
            "name": RESOURCE,
            "singularName": SINGULAR,
            "namespaced": true,
            "kind": KIND,
            "verbs": ["get", "list"],
        }],
    })
}

#[cfg(test)]
mod tests {
    use http::header::ACCEPT;
    use http::{HeaderMap, HeaderValue};

    use super::{AGGREGATED, Documents, aggregated};

    fn accept(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))])
    }

    #[test]
    fn the_aggregator_gets_what_it_asks_for() {
        let asked = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                     application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        let response = Documents::new().groups(&accept(asked)).expect("a document");
        assert_eq!(response.headers()["content-type"], AGGREGATED);
        let old = accept("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList");
        assert_eq!(Documents::new().groups(&old).expect_err("no document").code(), 406);
        assert_eq!(Documents::new().resources(&accept("text/html")).expect_err("no document").code(), 406);
    }

    #[test]
    fn neither_core_s_names_nor_controllers_verbs() {
        let resource = &aggregated()["items"][0]["versions"][0]["resources"][0];
        assert_ne!(resource["singularResource"], "secret");
        assert_ne!(resource["responseKind"]["kind"], "Secret");
        assert_eq!(resource["verbs"], serde_json::json!(["get", "list"]));
        assert!(resource.get("categories").is_none());
    }
}
