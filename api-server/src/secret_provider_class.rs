//! The SecretProviderClass object of the Secrets Store CSI driver. Only the fields that are used
//! here are kept, and only while one object is looked at: an object has up to 1.5 MB, most of which
//! its author chooses.

mod lean;

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube::api::ObjectMeta;
use kube::core::NamespaceResourceScope;
use serde::Deserialize;

use self::lean::{LeanMetadata, LeanSpec};

/// A `SecretProviderClass` of `secrets-store.csi.x-k8s.io/v1`. Its `Debug` shows no parameters,
/// which may hold secret arguments.
#[derive(Clone, Deserialize)]
#[serde(from = "LeanClass")]
pub(crate) struct SecretProviderClass {
    /// Names, times, labels, and the annotations of this API. All else is left out.
    pub(crate) metadata: ObjectMeta,
    /// Whether `metadata` lacks labels, since there were too many.
    pub(crate) lacks_labels: bool,
    pub(crate) provider: String,
    /// `None` if they do not have the form of their definition.
    pub(crate) parameters: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct LeanClass {
    metadata: LeanMetadata,
    #[serde(default)]
    spec: LeanSpec,
}

impl From<LeanClass> for SecretProviderClass {
    fn from(LeanClass { metadata, spec }: LeanClass) -> Self {
        let (labels, lacks_labels) = (metadata.labels.map, metadata.labels.is_cut);
        Self {
            metadata: ObjectMeta {
                name: metadata.name,
                namespace: metadata.namespace,
                uid: metadata.uid,
                resource_version: metadata.resource_version,
                creation_timestamp: metadata.creation_timestamp,
                labels: Some(labels),
                annotations: Some(metadata.annotations.0),
                ..ObjectMeta::default()
            },
            lacks_labels,
            provider: spec.provider.0.unwrap_or_default(),
            parameters: spec.parameters.0,
        }
    }
}

impl std::fmt::Debug for SecretProviderClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretProviderClass")
    }
}

impl kube::Resource for SecretProviderClass {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "SecretProviderClass".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "secrets-store.csi.x-k8s.io".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "secretproviderclasses".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::SecretProviderClass;

    fn read(object: &Value) -> SecretProviderClass {
        serde_json::from_str(&object.to_string()).expect("an object with metadata")
    }

    #[test]
    fn only_what_is_used_is_kept() {
        let object = read(&json!({
            "apiVersion": "secrets-store.csi.x-k8s.io/v1",
            "metadata": {
                "name": "db", "namespace": "ns", "resourceVersion": "7",
                "managedFields": [{"fieldsV1": {"f:spec": {}}}],
                "annotations": {
                    "custom.secrets.k8s.io/service-account": "web",
                    "custom.secrets.k8s.io/allow-issuing": "t".repeat(10_000),
                    "kubectl.kubernetes.io/last-applied-configuration": "{}",
                },
            },
            "spec": {"provider": "vault", "parameters": {"roleName": "app"}, "secretObjects": [{"a": 1}]},
            "status": {"x": 1},
        }));
        let annotations = object.metadata.annotations.expect("annotations");
        assert_eq!(annotations["custom.secrets.k8s.io/service-account"], "web");
        assert_eq!(annotations["custom.secrets.k8s.io/allow-issuing"].len(), 254);
        assert_eq!(annotations.len(), 2);
        assert_eq!(object.metadata.resource_version.as_deref(), Some("7"));
        assert!(object.metadata.managed_fields.is_none() && !object.lacks_labels);
        assert_eq!(object.parameters.expect("parameters")["roleName"], "app");
    }

    #[test]
    fn labels_are_kept_up_to_a_bound() {
        let labels = |n: usize| -> Value { (0..n).map(|n| (format!("label-{n}"), json!("x"))).collect() };
        let few = read(&json!({"metadata": {"labels": labels(10)}}));
        assert_eq!((few.metadata.labels.expect("labels").len(), few.lacks_labels), (10, false));
        let many = read(&json!({"metadata": {"labels": labels(100_000)}}));
        assert!(many.lacks_labels && many.metadata.labels.expect("labels").len() < 500);
    }

    #[test]
    fn another_form_is_no_error_of_the_whole_list() {
        for spec in [
            json!({"parameters": 7}),
            json!({"parameters": {"a": {"b": 1}}}),
            json!({"parameters": {"a": [1]}}),
            json!({"parameters": ["a"]}),
            json!({"parameters": {"a": null}}),
        ] {
            assert!(read(&json!({"metadata": {}, "spec": spec})).parameters.is_none(), "{spec}");
        }
        for spec in [json!({"provider": 7}), json!({"provider": {"a": "b"}}), json!({})] {
            let object = read(&json!({"metadata": {"annotations": null, "labels": null}, "spec": spec}));
            assert_eq!((object.provider.as_str(), object.parameters.map(|map| map.len())), ("", Some(0)));
        }
    }
}
