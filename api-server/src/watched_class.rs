//! What is known of a SecretProviderClass while nobody reads it: some hundred bytes, however large
//! the class is.

use std::collections::BTreeMap;
use std::sync::Arc;

use coffer_provider::class::{Class, TlsParameters};
use coffer_provider::{Error, Settings};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{ALLOW_ISSUING, SERVICE_ACCOUNT};
use crate::secret_provider_class::SecretProviderClass;

/// Bytes of a mistake that lists show. A read says all of it.
const MAX_PROBLEM_BYTES: usize = 512;

/// Bytes of a class without its texts, in memory, with what the allocator and the map add. A usual
/// class takes 630 in all.
const FIXED_BYTES: usize = 500;

/// The parsed parameters of a class, or the first mistake in them.
pub(crate) type ParsedClass = Result<Arc<Class>, Box<Error>>;

/// A SecretProviderClass of a provider that this server serves, without its parameters.
#[derive(Debug)]
pub(crate) struct WatchedClass {
    pub(crate) namespace: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) uid: Box<str>,
    pub(crate) resource_version: Box<str>,
    pub(crate) created: Option<Time>,
    /// Names and values, in half the memory of a map.
    pub(crate) labels: Box<[(Box<str>, Box<str>)]>,
    /// Whether `labels` lacks some, since there are too many.
    pub(crate) lacks_labels: bool,
    pub(crate) provider: Box<str>,
    /// The service account that reads for users who are not service accounts of the namespace.
    pub(crate) service_account: Option<Box<str>>,
    pub(crate) allows_issuing: bool,
    /// What the parameters say, or the beginning of the first mistake in them.
    pub(crate) summary: Result<ParameterSummary, Box<str>>,
}

/// What lists show of a class's parameters.
#[derive(Debug)]
pub(crate) struct ParameterSummary {
    pub(crate) role: Box<str>,
    pub(crate) objects: usize,
}

/// A class, and how many bytes of text were parsed for it.
pub(crate) struct ReadClass {
    pub(crate) watched: WatchedClass,
    pub(crate) parsed: ParsedClass,
    pub(crate) text_bytes: usize,
}

impl ReadClass {
    /// Parses an object; `None` where its provider is not among `providers`, or its parameters are
    /// not texts.
    ///
    /// TLS parameters are ignored: who may write a class must not thereby choose whom this server
    /// trusts, or which of its files it shows.
    pub(crate) fn parse(
        object: SecretProviderClass,
        providers: &[String],
        settings: &Settings,
    ) -> Option<Self> {
        let SecretProviderClass { metadata, lacks_labels, provider, parameters } = object;
        let parameters = parameters.filter(|_| providers.contains(&provider))?;
        let parsed: ParsedClass =
            Class::parse_with(&parameters, settings, TlsParameters::Ignored).map(Arc::new).map_err(Box::new);
        let annotations = metadata.annotations.unwrap_or_default();
        let annotation = |name: &str| annotations.get(name).map(|value| value.trim());
        let watched = WatchedClass {
            namespace: metadata.namespace.unwrap_or_default().into(),
            name: metadata.name.unwrap_or_default().into(),
            uid: metadata.uid.unwrap_or_default().into(),
            resource_version: metadata.resource_version.unwrap_or_default().into(),
            created: metadata.creation_timestamp,
            labels: metadata
                .labels
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            lacks_labels,
            provider: provider.into(),
            service_account: annotation(SERVICE_ACCOUNT).filter(|name| !name.is_empty()).map(Box::from),
            allows_issuing: annotation(ALLOW_ISSUING) == Some("true"),
            summary: summary(&parsed),
        };
        let text_bytes = parameters.iter().map(|(name, value)| name.len() + value.len()).sum();
        Some(Self { watched, parsed, text_bytes })
    }
}

fn summary(parsed: &ParsedClass) -> Result<ParameterSummary, Box<str>> {
    match parsed {
        Ok(class) => Ok(ParameterSummary { role: class.role.as_str().into(), objects: class.objects.len() }),
        Err(error) => {
            let mut problem = error.to_string();
            problem.truncate(problem.floor_char_boundary(MAX_PROBLEM_BYTES));
            Err(problem.into())
        }
    }
}

impl WatchedClass {
    /// Returns the labels.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        self.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    /// Returns about how many bytes the class takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let labels: usize = self.labels.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        let summary = match &self.summary {
            Ok(ParameterSummary { role, .. }) => role.len(),
            Err(problem) => problem.len(),
        };
        let texts = [&self.namespace, &self.name, &self.uid, &self.resource_version, &self.provider];
        let texts: usize = texts.iter().map(|text| text.len()).sum();
        FIXED_BYTES + texts + self.service_account.as_ref().map_or(0, |name| name.len()) + labels + summary
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use coffer_provider::Settings;
    use serde_json::{Value, json};

    use super::{ReadClass, WatchedClass};

    pub(crate) fn read(object: &Value) -> Option<ReadClass> {
        let object = serde_json::from_value(object.clone()).expect("a SecretProviderClass");
        ReadClass::parse(object, &["vault".to_owned(), "openbao".to_owned()], &Settings::default())
    }

    pub(crate) fn watched(object: &Value) -> Option<WatchedClass> {
        read(object).map(|class| class.watched)
    }

    pub(crate) fn object() -> Value {
        json!({
            "metadata": {
                "name": "db", "namespace": "ns", "uid": "8d2f8f7c-1f1b-4b57-8a29-000000000001",
                "resourceVersion": "1",
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
        let summary = class.summary.as_ref().expect("a good class");
        assert_eq!((&*summary.role, summary.objects), ("app", 2));
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
        let parsed = read(&object).expect("a class of ours").parsed.expect("no mistake");
        assert_eq!(parsed.target.tls, Settings::default().tls);
    }

    #[test]
    fn other_providers_are_none_of_ours_and_mistakes_are_kept() {
        let mut other = object();
        other["spec"]["provider"] = "aws".into();
        assert!(watched(&other).is_none());
        let mut wrong = object();
        wrong["spec"]["parameters"]["roleName"] = "".into();
        let class = read(&wrong).expect("a class of ours");
        assert!(class.parsed.expect_err("a mistake").message.contains("roleName"));
        assert!(class.watched.summary.expect_err("a mistake").contains("roleName"));
    }

    #[test]
    fn a_large_class_is_small_while_nobody_reads_it() {
        let mut large = object();
        large["spec"]["parameters"]["objects"] = format!("- {{objectName: {}}}", "x".repeat(1 << 17)).into();
        large["metadata"]["labels"] = (0..5000).map(|n| (format!("label-{n}"), json!("x"))).collect();
        large["metadata"]["annotations"] =
            json!({"custom.secrets.k8s.io/service-account": "x".repeat(1 << 17)});
        let class = read(&large).expect("a class of ours");
        assert!(class.text_bytes > 1 << 17);
        assert!(class.watched.summary.as_ref().expect_err("a mistake").len() <= 512);
        assert!(class.watched.bytes() < 40_000, "{}", class.watched.bytes());
        assert!(watched(&object()).expect("a class").bytes() < 1000);
    }
}
