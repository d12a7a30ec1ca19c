//! Discovery: the documents that say which group, version and resource this server has.
//!
//! They are static and in memory. If they failed, kube-apiserver would call the version stale, and
//! the deletion of every namespace in the cluster would hang.

use bytes::Bytes;
use http::{HeaderMap, Response};
use serde_json::{Value, json};

use crate::accept::{DiscoveryForm, accepts_json, discovery_form};
use crate::api::{GROUP, GROUP_VERSION, KIND, RESOURCE, SINGULAR, VERSION};
use crate::api_error::ApiError;
use crate::respond::StaticDocument;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const JSON: &str = "application/json";

/// The discovery documents, made once.
pub(crate) struct DiscoveryDocuments {
    aggregated: StaticDocument,
    groups: StaticDocument,
    group: StaticDocument,
    resources: StaticDocument,
}

impl DiscoveryDocuments {
    pub(crate) fn new() -> Self {
        let group_list = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(false)]});
        Self {
            aggregated: StaticDocument::new(AGGREGATED, aggregated().to_string()),
            groups: StaticDocument::new(JSON, group_list.to_string()),
            group: StaticDocument::new(JSON, group(true).to_string()),
            resources: StaticDocument::new(JSON, resources().to_string()),
        }
    }

    /// Answers `/apis`.
    pub(crate) fn groups(&self, headers: &HeaderMap) -> Result<Response<Bytes>, ApiError> {
        match discovery_form(headers) {
            Some(DiscoveryForm::Aggregated) => Ok(self.aggregated.response(headers)),
            Some(DiscoveryForm::Legacy) => Ok(self.groups.response(headers)),
            None => Err(ApiError::not_acceptable(&format!("{AGGREGATED}, {JSON}"))),
        }
    }

    /// Answers `/apis/G`.
    pub(crate) fn group(&self, headers: &HeaderMap) -> Result<Response<Bytes>, ApiError> {
        json_document(&self.group, headers)
    }

    /// Answers `/apis/G/V`.
    pub(crate) fn resources(&self, headers: &HeaderMap) -> Result<Response<Bytes>, ApiError> {
        json_document(&self.resources, headers)
    }
}

/// Returns the document, for a client that accepts JSON.
pub(crate) fn json_document(
    document: &StaticDocument,
    headers: &HeaderMap,
) -> Result<Response<Bytes>, ApiError> {
    if accepts_json(headers) { Ok(document.response(headers)) } else { Err(ApiError::not_acceptable(JSON)) }
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

    use super::{AGGREGATED, DiscoveryDocuments, aggregated};

    fn accept(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))])
    }

    #[test]
    fn the_aggregator_gets_what_it_asks_for() {
        let asked = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                     application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        let response = DiscoveryDocuments::new().groups(&accept(asked)).expect("a document");
        assert_eq!(response.headers()["content-type"], AGGREGATED);
        let old = accept("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList");
        assert_eq!(DiscoveryDocuments::new().groups(&old).expect_err("no document").code(), 406);
        assert_eq!(
            DiscoveryDocuments::new().resources(&accept("text/html")).expect_err("no document").code(),
            406
        );
    }

    #[test]
    fn no_name_of_core_and_no_verb_that_controllers_need() {
        let resource = &aggregated()["items"][0]["versions"][0]["resources"][0];
        assert_ne!(resource["singularResource"], "secret");
        assert_ne!(resource["responseKind"]["kind"], "Secret");
        assert_eq!(resource["verbs"], serde_json::json!(["get", "list"]));
        assert!(resource.get("categories").is_none());
    }
}
