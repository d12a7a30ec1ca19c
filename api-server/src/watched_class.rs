//! A SecretProviderClass in memory: the parsed class, and the metadata that reads and lists need.

use std::collections::BTreeMap;
use std::sync::Arc;

use coffer_provider::class::{Class, TlsParameters};
use coffer_provider::{Error, Settings};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{ALLOW_ISSUING, SERVICE_ACCOUNT};
use crate::secret_provider_class::SecretProviderClass;

/// A SecretProviderClass of a provider that this server serves.
pub(crate) struct WatchedClass {
    pub(crate) namespace: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) uid: Box<str>,
    pub(crate) created: Option<Time>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) provider: Box<str>,
    /// The service account that reads for users who are not service accounts of the namespace.
    pub(crate) service_account: Option<Box<str>>,
    pub(crate) allows_issuing: bool,
    /// The parsed parameters, or the first mistake in them. TLS settings are those of this server.
    pub(crate) class: Result<Arc<Class>, Box<Error>>,
}

impl WatchedClass {
    /// Parses an object; `None` where its provider is not among `providers`.
    ///
    /// TLS parameters are ignored: who may write a class must not thereby choose whom this server
    /// trusts, or which of its files it shows.
    pub(crate) fn new(
        object: SecretProviderClass,
        providers: &[String],
        settings: &Settings,
    ) -> Option<Self> {
        let SecretProviderClass { metadata, spec } = object;
        if !providers.contains(&spec.provider) {
            return None;
        }
        let class = Class::parse_with(&spec.parameters, settings, TlsParameters::Ignored);
        let annotations = metadata.annotations.unwrap_or_default();
        let annotation = |name: &str| annotations.get(name).map(|value| value.trim());
        let service_account = annotation(SERVICE_ACCOUNT).filter(|name| !name.is_empty()).map(Box::from);
        Some(Self {
            namespace: metadata.namespace.unwrap_or_default().into(),
            name: metadata.name.unwrap_or_default().into(),
            uid: metadata.uid.unwrap_or_default().into(),
            created: metadata.creation_timestamp,
            labels: metadata.labels.unwrap_or_default(),
            provider: spec.provider.into(),
            service_account,
            allows_issuing: annotation(ALLOW_ISSUING) == Some("true"),
            class: class.map(Arc::new).map_err(Box::new),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use coffer_provider::Settings;
    use serde_json::{Value, json};

    use super::WatchedClass;

    pub(crate) fn watched(object: &Value) -> Option<WatchedClass> {
        let object = serde_json::from_value(object.clone()).expect("a SecretProviderClass");
        WatchedClass::new(object, &["vault".to_owned(), "openbao".to_owned()], &Settings::default())
    }

    pub(crate) fn object() -> Value {
        json!({
            "metadata": {
                "name": "db", "namespace": "ns", "uid": "8d2f8f7c-1f1b-4b57-8a29-000000000001",
                "labels": {"app": "web"},
                "annotations": {
                    "custom.secrets.k8s.io/service-account": "web",
                    "kubectl.kubernetes.io/last-applied-configuration": "hunter2",
                },
            },
            "spec": {
                "provider": "vault",
                "parameters": {
                    "roleName": "app",
                    "objects": "- objectName: user\n  secretPath: secret/data/db\n  secretKey: user\n\
                                - objectName: password\n  secretPath: secret/data/db\n  secretKey: password\n",
                },
            },
        })
    }

    #[test]
    fn a_class_says_role_objects_and_reader() {
        let class = watched(&object()).expect("a class of ours");
        let parsed = class.class.as_ref().expect("a good class");
        assert_eq!((parsed.role.as_str(), parsed.objects.len()), ("app", 2));
        assert_eq!(class.service_account.as_deref(), Some("web"));
        assert!(!class.allows_issuing);
    }

    #[test]
    fn a_classs_tls_settings_count_for_nothing() {
        let mut object = object();
        for prefix in ["vault", "bao", "openbao"] {
            for name in [
                "CACertPath",
                "CADirectory",
                "TLSServerName",
                "TLSClientCertPath",
                "TLSClientKeyPath",
                "SkipTLSVerify",
            ] {
                object["spec"]["parameters"][format!("{prefix}{name}")] = "/etc/passwd".into();
            }
        }
        let class = watched(&object).expect("a class of ours");
        let parsed = class.class.as_ref().expect("no mistake");
        assert_eq!(parsed.target.tls, Settings::default().tls);
    }

    #[test]
    fn other_providers_are_none_of_ours_and_mistakes_are_kept() {
        let mut other = object();
        other["spec"]["provider"] = "aws".into();
        assert!(watched(&other).is_none());
        let mut wrong = object();
        wrong["spec"]["parameters"]["roleName"] = "".into();
        let error = watched(&wrong).expect("a class of ours").class.expect_err("a mistake");
        assert!(error.message.contains("roleName"), "{error}");
    }
}
