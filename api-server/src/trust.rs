//! Whom this server believes: kube-apiserver's ConfigMap `extension-apiserver-authentication`, watched.
//!
//! It names the CA of the front proxy (kube-apiserver's aggregation layer) with the headers that it sends, and the CA
//! of users' client certificates
//! (<https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/#kubernetes-apiserver-client-authentication>).

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::StreamExt;
use http::HeaderName;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};

use crate::client_certificate::Authority;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";

/// What the ConfigMap says; each part stays until there is a new one that can be used.
#[derive(Default, Clone)]
pub(crate) struct Trust {
    pub(crate) front_proxy: Option<Arc<FrontProxy>>,
    /// Issues certificates of users.
    pub(crate) clients: Option<Arc<Authority>>,
}

/// The front proxy, and what it sends.
pub(crate) struct FrontProxy {
    pub(crate) authority: Authority,
    /// Common names that its certificate may have; none for any.
    pub(crate) allowed_names: Vec<String>,
    pub(crate) user: Vec<HeaderName>,
    pub(crate) uid: Vec<HeaderName>,
    pub(crate) group: Vec<HeaderName>,
    /// In lower case.
    pub(crate) extra_prefixes: Vec<String>,
}

/// Follows the ConfigMap until it is dropped.
pub(crate) async fn follow(trust: &ArcSwap<Trust>, client: Client) {
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    // the Role extension-apiserver-authentication-reader allows this one name
    let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    let mut changes = pin!(watcher(api, config).default_backoff().applied_objects());
    while let Some(change) = changes.next().await {
        match change {
            Ok(map) => {
                trust.store(Arc::new(trust.load().updated(&map.data.unwrap_or_default())));
            }
            Err(error) => tracing::warn!(
                "ConfigMap {NAMESPACE}/{NAME} cannot be watched, what it said last goes on: {error}"
            ),
        }
    }
}

impl Trust {
    /// What holds after an update.
    fn updated(&self, map: &BTreeMap<String, String>) -> Self {
        let said = |what: &str, result: Result<(), String>| {
            if let Err(reason) = result {
                tracing::warn!("{what} of ConfigMap {NAMESPACE}/{NAME}: {reason}; what it said last goes on");
            }
        };
        let mut next = self.clone();
        said("front proxy", FrontProxy::parse(map).map(|proxy| next.front_proxy = Some(Arc::new(proxy))));
        if map.contains_key("client-ca-file") {
            let clients = authority(map, "client-ca-file");
            said("client-ca-file", clients.map(|authority| next.clients = Some(Arc::new(authority))));
        }
        next
    }
}

impl FrontProxy {
    fn parse(map: &BTreeMap<String, String>) -> Result<Self, String> {
        Ok(Self {
            authority: authority(map, "requestheader-client-ca-file")?,
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

fn authority(map: &BTreeMap<String, String>, key: &str) -> Result<Authority, String> {
    let pem = map.get(key).ok_or_else(|| format!("{key} is missing"))?;
    Authority::parse(pem).map_err(|reason| format!("{key}: {reason}"))
}

/// A list of strings in JSON; a key that is missing is an empty one.
fn strings(map: &BTreeMap<String, String>, key: &str) -> Result<Vec<String>, String> {
    let text = map.get(key).map_or("[]", String::as_str);
    let text = if text.trim().is_empty() { "[]" } else { text };
    serde_json::from_str(text).map_err(|_| format!("{key} is no list of strings"))
}

fn headers(map: &BTreeMap<String, String>, key: &str) -> Result<Vec<HeaderName>, String> {
    let names = strings(map, key)?.into_iter();
    names
        .map(|name| HeaderName::try_from(name.trim()).map_err(|_| format!("{key} names no header: {name:?}")))
        .collect()
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
    fn what_cannot_be_used_keeps_what_was_said_last() {
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
            assert!(proxy.authority.accepts(&authority.issue("front-proxy", &[])));
        }
        assert!(!proxy.authority.accepts(&TestAuthority::new().issue("front-proxy", &[])));
    }
}
