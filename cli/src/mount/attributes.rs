//! The attributes of a mount, as the driver makes them from a class, a pod and kubelet's token.

use std::collections::BTreeMap;
use std::path::Path;

use crate::manifest::class::ClassManifest;
use crate::token::ServiceAccountToken;

/// The pod that the volume is for.
pub(crate) struct MountPod<'a> {
    /// The name.
    pub(crate) name: &'a str,
    /// The namespace.
    pub(crate) namespace: &'a str,
    /// The UID.
    pub(crate) uid: &'a str,
    /// The name of the service account.
    pub(crate) service_account: &'a str,
}

/// Returns the audience of the token: the one of the command line, else the class's, else the
/// provider's default, which depends on the name of the socket.
pub(crate) fn audience<'a>(given: Option<&'a str>, class: &'a ClassManifest, socket: &Path) -> &'a str {
    let is_openbao = socket.file_name().is_some_and(|name| name == "openbao.sock");
    given.or(class.audience()).unwrap_or(if is_openbao { "openbao" } else { "vault" })
}

/// Returns the attributes as JSON. An attribute of the driver replaces a parameter of the same
/// name.
pub(crate) fn attributes(
    class: &ClassManifest,
    pod: &MountPod<'_>,
    token: Option<(&str, &ServiceAccountToken)>,
) -> serde_json::Result<String> {
    let MountPod { name, namespace, uid, service_account } = pod;
    let tokens = token.map(|token| serde_json::to_string(&BTreeMap::from([token]))).transpose()?;
    let driver = [
        ("secretProviderClass", &*class.name),
        ("csi.storage.k8s.io/ephemeral", "true"),
        ("csi.storage.k8s.io/pod.name", name),
        ("csi.storage.k8s.io/pod.namespace", namespace),
        ("csi.storage.k8s.io/pod.uid", uid),
        ("csi.storage.k8s.io/serviceAccount.name", service_account),
    ];
    let mut attributes: BTreeMap<&str, &str> =
        class.parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
    attributes.extend(driver);
    attributes.extend(tokens.as_deref().map(|tokens| ("csi.storage.k8s.io/serviceAccount.tokens", tokens)));
    serde_json::to_string(&attributes)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn class(parameters: &[(&str, &str)]) -> ClassManifest {
        ClassManifest {
            name: "db".into(),
            namespace: None,
            provider: "vault".into(),
            parameters: parameters.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
        }
    }

    fn made(class: &ClassManifest, token: Option<(&str, &ServiceAccountToken)>) -> Value {
        let pod = MountPod { name: "web-0", namespace: "shop", uid: "u-1", service_account: "web" };
        let text = attributes(class, &pod, token).expect("strings only");
        serde_json::from_str(&text).expect("JSON")
    }

    #[test]
    fn parameters_and_the_pod_are_in_one_flat_object() {
        assert_eq!(
            made(&class(&[("roleName", "app"), ("csi.storage.k8s.io/pod.uid", "mine")]), None),
            json!({
                "roleName": "app",
                "secretProviderClass": "db",
                "csi.storage.k8s.io/ephemeral": "true",
                "csi.storage.k8s.io/pod.name": "web-0",
                "csi.storage.k8s.io/pod.namespace": "shop",
                "csi.storage.k8s.io/pod.uid": "u-1",
                "csi.storage.k8s.io/serviceAccount.name": "web",
            })
        );
    }

    #[test]
    fn tokens_are_json_in_a_string() {
        let made = made(&class(&[]), Some(("vault", &ServiceAccountToken::new("opaque"))));
        let tokens = &made["csi.storage.k8s.io/serviceAccount.tokens"];
        assert_eq!(tokens, r#"{"vault":{"token":"opaque"}}"#);
    }

    #[test]
    fn the_audience_is_given_or_the_class_s_or_the_provider_s() {
        let named = class(&[("audience", "bao")]);
        let vault = Path::new("/run/vault.sock");
        assert_eq!(audience(Some("mine"), &named, vault), "mine");
        assert_eq!(audience(None, &named, vault), "bao");
        assert_eq!(audience(None, &class(&[("audience", "")]), vault), "vault");
        assert_eq!(audience(None, &class(&[("vaultAudience", "a"), ("audience", "b")]), vault), "a");
        assert_eq!(audience(None, &class(&[]), Path::new("/run/openbao.sock")), "openbao");
    }
}
