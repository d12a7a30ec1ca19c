//! A SecretProviderClass as it is held in memory: what reading and listing need, and no more.

use std::collections::BTreeMap;

use coffer_provider::class::Class;
use coffer_provider::{Address, Error, Settings};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{ALLOW_ISSUING, SERVICE_ACCOUNT};
use crate::class_object::SecretProviderClass;

/// A class of a provider of ours.
#[derive(PartialEq)]
pub(crate) struct HeldClass {
    pub(crate) namespace: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) uid: Box<str>,
    pub(crate) created: Option<Time>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) provider: Box<str>,
    /// Who reads for those who are no service account of the namespace.
    pub(crate) service_account: Option<Box<str>>,
    pub(crate) allows_issuing: bool,
    parameters: Box<[(Box<str>, Box<str>)]>,
    /// What the parameters say, or what is wrong with them.
    pub(crate) summary: Result<Summary, Box<Error>>,
}

/// What a class's parameters say.
#[derive(Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) role: Box<str>,
    pub(crate) address: Address,
    /// `objectName` of each object.
    pub(crate) objects: Box<[Box<str>]>,
}

/// Prefixes and names of the TLS parameters. They are dropped: who may write a class must not thereby choose whom
/// this server trusts, or which of its files it shows.
const PREFIXES: [&str; 3] = ["vault", "bao", "openbao"];
const TLS: [&str; 6] =
    ["CACertPath", "CADirectory", "TLSServerName", "TLSClientCertPath", "TLSClientKeyPath", "SkipTLSVerify"];

impl HeldClass {
    /// What is held of an object; nothing where it is of another provider.
    pub(crate) fn new(
        object: SecretProviderClass,
        providers: &[String],
        settings: &Settings,
    ) -> Option<Self> {
        let SecretProviderClass { metadata, spec } = object;
        if !providers.contains(&spec.provider) {
            return None;
        }
        let mut parameters = spec.parameters;
        parameters.retain(|name, _| !is_tls(name));
        let summary = Class::parse(&parameters, settings).map(Summary::new).map_err(Box::new);
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
            parameters: parameters.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            summary,
        })
    }

    /// The parameters, without those that only the server's own configuration decides.
    pub(crate) fn parameters(&self) -> BTreeMap<String, String> {
        self.parameters.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }
}

impl Summary {
    fn new(class: Class) -> Self {
        Self {
            role: class.role.into(),
            address: class.target.address,
            objects: class.objects.iter().map(|object| object.file.as_str().into()).collect(),
        }
    }
}

fn is_tls(name: &str) -> bool {
    PREFIXES.iter().filter_map(|prefix| name.strip_prefix(prefix)).any(|rest| TLS.contains(&rest))
}

#[cfg(test)]
pub(crate) mod tests {
    use coffer_provider::Settings;
    use serde_json::{Value, json};

    use super::HeldClass;

    pub(crate) fn held(object: &Value) -> Option<HeldClass> {
        let object = serde_json::from_value(object.clone()).expect("a SecretProviderClass");
        HeldClass::new(object, &["vault".to_owned(), "openbao".to_owned()], &Settings::default())
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
        let class = held(&object()).expect("a class of ours");
        let summary = class.summary.as_ref().expect("a good class");
        assert_eq!((&*summary.role, summary.objects.len()), ("app", 2));
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
        let class = held(&object).expect("a class of ours");
        assert!(class.summary.is_ok());
        assert_eq!(class.parameters().into_keys().collect::<Vec<_>>(), ["objects", "roleName"]);
    }

    #[test]
    fn other_providers_are_none_of_ours_and_mistakes_are_kept() {
        let mut other = object();
        other["spec"]["provider"] = "aws".into();
        assert!(held(&other).is_none());
        let mut wrong = object();
        wrong["spec"]["parameters"]["roleName"] = "".into();
        let error = held(&wrong).expect("a class of ours").summary.expect_err("a mistake");
        assert!(error.message.contains("roleName"), "{error}");
    }
}
