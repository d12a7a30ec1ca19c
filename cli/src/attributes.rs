//! The attributes of a mount, as the driver makes them from a class, a pod and kubelet's token.

use std::collections::BTreeMap;

use std::path::Path;

use crate::{class::Class, token::Token};

/// The parameters that name an audience, the first that is set counting.
const PARAMETERS: [&str; 4] = ["baoAudience", "openbaoAudience", "vaultAudience", "audience"];

/// The pod that the volume would be for.
pub(crate) struct Pod<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its namespace.
    pub(crate) namespace: &'a str,
    /// Its UID.
    pub(crate) uid: &'a str,
    /// The name of its service account.
    pub(crate) service_account: &'a str,
}

/// The audience that a token has to have: the one given, the class's, or the provider's own, which goes by its socket.
pub(crate) fn audience<'a>(given: Option<&'a str>, class: &'a Class, socket: &Path) -> &'a str {
    let set = |name| class.parameters.get(name).map(String::as_str).filter(|audience| !audience.is_empty());
    let usual =
        if socket.file_name().is_some_and(|name| name == "openbao.sock") { "openbao" } else { "vault" };
    given.or_else(|| PARAMETERS.into_iter().find_map(set)).unwrap_or(usual)
}

/// The attributes as JSON. What the driver says of the pod beats a parameter of the same name.
pub(crate) fn attributes(
    class: &Class,
    pod: &Pod<'_>,
    token: Option<(&str, &Token)>,
) -> serde_json::Result<String> {
    let Pod { name, namespace, uid, service_account } = pod;
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

    fn class(parameters: &[(&str, &str)]) -> Class {
        Class {
            name: "db".into(),
            namespace: None,
            provider: "vault".into(),
            parameters: parameters.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
        }
    }

    fn made(class: &Class, token: Option<(&str, &Token)>) -> Value {
        let pod = Pod { name: "web-0", namespace: "shop", uid: "u-1", service_account: "web" };
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
        let made = made(&class(&[]), Some(("vault", &Token::new("opaque"))));
        let tokens = &made["csi.storage.k8s.io/serviceAccount.tokens"];
        assert_eq!(tokens, r#"{"vault":{"token":"opaque"}}"#);
    }

    #[test]
    fn the_audience_is_given_or_the_class_s_or_vault() {
        let named = class(&[("audience", "bao")]);
        let vault = Path::new("/run/vault.sock");
        assert_eq!(audience(Some("mine"), &named, vault), "mine");
        assert_eq!(audience(None, &named, vault), "bao");
        assert_eq!(audience(None, &class(&[("audience", "")]), vault), "vault");
        assert_eq!(audience(None, &class(&[("vaultAudience", "a"), ("audience", "b")]), vault), "a");
        assert_eq!(audience(None, &class(&[]), Path::new("/run/openbao.sock")), "openbao");
    }
}
