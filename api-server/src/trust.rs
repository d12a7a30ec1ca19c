//! Whom this server trusts to name users: kube-apiserver's ConfigMap
//! `extension-apiserver-authentication`, watched.
//!
//! The ConfigMap holds the CA of the front proxy (kube-apiserver's aggregation layer), the headers
//! that the front proxy sends, and the CA of users' client certificates
//! (<https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/#kubernetes-apiserver-client-authentication>).

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use coffer_kubernetes::watch_objects;
use futures_util::StreamExt;
use http::HeaderName;
use http::header::InvalidHeaderName;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Client};

use crate::client_certificate::{BundleError, ClientAuthorities};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";

/// Keys of the ConfigMap.
const FRONT_PROXY_CA: &str = "requestheader-client-ca-file";
const CLIENT_CA: &str = "client-ca-file";

/// The trusted parties of the ConfigMap. Each part stays in use until a new usable one is read.
#[derive(Default, Clone)]
pub(crate) struct Trust {
    pub(crate) front_proxy: Option<Arc<FrontProxy>>,
    /// Authorities that issue the certificates of users.
    pub(crate) clients: Option<Arc<ClientAuthorities>>,
}

/// The front proxy: its certificate authority, and the headers in which it names users.
pub(crate) struct FrontProxy {
    pub(crate) authorities: ClientAuthorities,
    /// Common names that its certificate may have; an empty list allows any.
    pub(crate) allowed_names: Vec<String>,
    pub(crate) user: Vec<HeaderName>,
    pub(crate) uid: Vec<HeaderName>,
    pub(crate) group: Vec<HeaderName>,
    /// In lower case.
    pub(crate) extra_prefixes: Vec<String>,
}

/// A part of the ConfigMap that cannot be used. The texts name the key.
#[derive(Debug, thiserror::Error)]
enum TrustError {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{key}: {source}")]
    Bundle { key: &'static str, source: BundleError },
    #[error("{key} is not a list of strings")]
    NotStrings { key: &'static str, source: serde_json::Error },
    #[error("{key} has {name:?}, which is not a header name")]
    NotHeader { key: &'static str, name: String, source: InvalidHeaderName },
}

/// Follows the ConfigMap until the future is dropped.
pub(crate) async fn follow(trust: &ArcSwap<Trust>, client: Client) {
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    // the Role extension-apiserver-authentication-reader allows this one name
    let config = Config::default().fields(&format!("metadata.name={NAME}"));
    let mut events =
        pin!(watch_objects(api, config, "ConfigMap kube-system/extension-apiserver-authentication"));
    while let Some(event) = events.next().await {
        if let Event::Apply(map) | Event::InitApply(map) = event {
            trust.store(Arc::new(trust.load().updated(&map.data.unwrap_or_default())));
        }
    }
}

impl Trust {
    /// Returns the trust after an update of the ConfigMap.
    fn updated(&self, map: &BTreeMap<String, String>) -> Self {
        let mut next = self.clone();
        match FrontProxy::parse(map) {
            Ok(proxy) => next.front_proxy = Some(Arc::new(proxy)),
            Err(error) => log_unusable("the front proxy", &error),
        }
        if map.contains_key(CLIENT_CA) {
            match authorities(map, CLIENT_CA) {
                Ok(clients) => next.clients = Some(Arc::new(clients)),
                Err(error) => log_unusable("the CA of client certificates", &error),
            }
        }
        next
    }
}

impl FrontProxy {
    fn parse(map: &BTreeMap<String, String>) -> Result<Self, TrustError> {
        Ok(Self {
            authorities: authorities(map, FRONT_PROXY_CA)?,
            allowed_names: strings(map, "requestheader-allowed-names")?,
            user: headers(map, "requestheader-username-headers")?,
            uid: headers(map, "requestheader-uid-headers")?,
            group: headers(map, "requestheader-group-headers")?,
            extra_prefixes: strings(map, "requestheader-extra-headers-prefix")?
                .into_iter()
                .map(|prefix| prefix.to_lowercase())
                .filter(|prefix| !prefix.is_empty())
                .collect(),
        })
    }
}

fn log_unusable(part: &str, error: &TrustError) {
    tracing::warn!(
        %error,
        part,
        "ConfigMap {NAMESPACE}/{NAME} cannot be used; the last usable content stays in use"
    );
}

fn authorities(map: &BTreeMap<String, String>, key: &'static str) -> Result<ClientAuthorities, TrustError> {
    let pem = map.get(key).ok_or(TrustError::Missing(key))?;
    ClientAuthorities::parse(pem).map_err(|source| TrustError::Bundle { key, source })
}

/// Parses a JSON list of strings. A key that is missing stands for an empty list.
fn strings(map: &BTreeMap<String, String>, key: &'static str) -> Result<Vec<String>, TrustError> {
    let text = map.get(key).map_or("[]", String::as_str);
    let text = if text.trim().is_empty() { "[]" } else { text };
    serde_json::from_str(text).map_err(|source| TrustError::NotStrings { key, source })
}

fn headers(map: &BTreeMap<String, String>, key: &'static str) -> Result<Vec<HeaderName>, TrustError> {
    let header = |name: String| {
        HeaderName::try_from(name.trim()).map_err(|source| TrustError::NotHeader { key, name, source })
    };
    strings(map, key)?.into_iter().map(header).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::Trust;
    use crate::client_certificate::tests::TestAuthority;

    pub(crate) fn map(authority: &TestAuthority) -> BTreeMap<String, String> {
        [
            ("requestheader-client-ca-file", authority.pem().as_str()),
            ("requestheader-allowed-names", r#"["front-proxy"]"#),
            ("requestheader-username-headers", r#"["X-Remote-User","X-Other-User"]"#),
            ("requestheader-uid-headers", r#"["X-Remote-Uid"]"#),
            ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
            ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }

    pub(crate) fn trust(map: &BTreeMap<String, String>) -> Trust {
        Trust::default().updated(map)
    }

    #[test]
    fn what_cannot_be_used_leaves_the_last_usable_content() {
        let authority = TestAuthority::new();
        let good = trust(&map(&authority));
        let proxy = good.front_proxy.clone().expect("a front proxy");
        assert_eq!(proxy.extra_prefixes, ["x-remote-extra-"]);
        assert!(good.clients.is_none());
        for (key, value) in [
            ("requestheader-client-ca-file", ""),
            (
                "requestheader-client-ca-file",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ),
            ("requestheader-username-headers", "X-Remote-User"),
            ("requestheader-group-headers", r#"["not a header"]"#),
            ("client-ca-file", ""),
        ] {
            let mut bad = map(&authority);
            bad.insert(key.to_owned(), value.to_owned());
            let next = good.updated(&bad);
            assert!(next.front_proxy.is_some(), "{key}");
            assert!(next.clients.is_none(), "{key}");
        }
        assert!(trust(&BTreeMap::new()).front_proxy.is_none());
    }

    #[test]
    fn every_block_of_a_bundle_counts() {
        let (old, new) = (TestAuthority::new(), TestAuthority::new());
        let mut bundle = map(&old);
        bundle.insert("requestheader-client-ca-file".to_owned(), format!("{}{}", old.pem(), new.pem()));
        let proxy = trust(&bundle).front_proxy.expect("a front proxy");
        for authority in [&old, &new] {
            assert!(proxy.authorities.accept(&authority.issue("front-proxy", &[])));
        }
        assert!(!proxy.authorities.accept(&TestAuthority::new().issue("front-proxy", &[])));
    }
}
