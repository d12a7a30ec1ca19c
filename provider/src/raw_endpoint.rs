//! Vault's endpoints that answer with something else than a secret in JSON, and what to read in
//! their place.
//!
//! <https://developer.hashicorp.com/vault/api-docs/secret/pki#read-issuer-certificate>,
//! <https://developer.hashicorp.com/vault/api-docs/secret/ssh#read-public-key-unauthenticated>

/// Returns advice for a path whose answer was not JSON, or empty; none if the path is no such
/// endpoint of an engine of Vault or OpenBao, whatever its mount is called.
pub(crate) fn advice_on_raw(path: &str) -> Option<String> {
    let path = path.split('?').next().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if let ["sys", ..] = segments[..] {
        return Some("This endpoint of Vault gives no secret: remove the object".to_owned());
    }
    let (length, replacement, key) = json_endpoint(&segments)?;
    // without a mount it is something else
    let mount = segments[..segments.len() - length].join("/");
    (!mount.is_empty()).then(|| {
        format!(
            "This endpoint of Vault gives bytes, not JSON: read {:?} with secretKey {key:?}",
            format!("{mount}/{replacement}")
        )
    })
}

/// Returns advice for a path whose answer is JSON without `data`.
pub(crate) fn advice_without_data(path: &str) -> &'static str {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    if segments.any(|segment| segment == ".well-known") {
        return "This endpoint of Vault is public and gives no secret: remove the object, and let the application \
                ask for it";
    }
    "Only what an answer has under \"data\" can be mounted: remove the object"
}

/// Returns for the end of a path: its number of segments, the endpoint that gives the same as JSON,
/// and the key there.
fn json_endpoint(segments: &[&str]) -> Option<(usize, String, &'static str)> {
    let found = match segments {
        [.., "issuer", name, "crl", "pem" | "der"] => (4, format!("issuer/{name}/crl"), "crl"),
        [.., "issuer", name, "crl", "delta", "pem" | "der"] => (5, format!("issuer/{name}/crl/delta"), "crl"),
        [.., "issuer", name, "unified-crl", "pem" | "der"] => {
            (4, format!("issuer/{name}/unified-crl"), "crl")
        }
        [.., "issuer", name, "unified-crl", "delta", "pem" | "der"] => {
            (5, format!("issuer/{name}/unified-crl/delta"), "crl")
        }
        [.., "issuer", name, "pem" | "der"] => (3, format!("issuer/{name}/json"), "certificate"),
        [.., "issuer", name, "public_key"] => (3, format!("issuer/{name}"), "public_key"),
        [.., "cert", serial, "raw", "pem"] => (4, format!("cert/{serial}"), "certificate"),
        [.., "cert", serial, "raw"] => (3, format!("cert/{serial}"), "certificate"),
        [.., "ca", "pem"] => (2, "cert/ca".to_owned(), "certificate"),
        [.., "ca"] => (1, "cert/ca".to_owned(), "certificate"),
        [.., "ca", "chain"] => (2, "cert/ca_chain".to_owned(), "ca_chain"),
        [.., "ca_chain"] => (1, "cert/ca_chain".to_owned(), "ca_chain"),
        [.., "crl", "delta", "pem"] => (3, "cert/delta-crl".to_owned(), "certificate"),
        [.., "crl", "delta"] => (2, "cert/delta-crl".to_owned(), "certificate"),
        [.., "crl", "pem"] => (2, "cert/crl".to_owned(), "certificate"),
        [.., "crl"] => (1, "cert/crl".to_owned(), "certificate"),
        [.., "unified-crl", "delta", "pem"] => (3, "cert/unified-delta-crl".to_owned(), "certificate"),
        [.., "unified-crl", "delta"] => (2, "cert/unified-delta-crl".to_owned(), "certificate"),
        [.., "unified-crl", "pem"] => (2, "cert/unified-crl".to_owned(), "certificate"),
        [.., "unified-crl"] => (1, "cert/unified-crl".to_owned(), "certificate"),
        [.., "public_key"] => (1, "config/ca".to_owned(), "public_key"),
        _ => return None,
    };
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::{advice_on_raw, advice_without_data};

    #[test]
    fn each_raw_endpoint_has_one_with_json() {
        for (raw, path, key) in [
            ("pki/ca", "pki/cert/ca", "certificate"),
            ("pki/ca/pem", "pki/cert/ca", "certificate"),
            ("team/a/pki/ca/pem/", "team/a/pki/cert/ca", "certificate"),
            ("pki/ca_chain", "pki/cert/ca_chain", "ca_chain"),
            ("pki/crl/pem", "pki/cert/crl", "certificate"),
            ("pki/crl/delta", "pki/cert/delta-crl", "certificate"),
            ("pki/unified-crl/delta/pem", "pki/cert/unified-delta-crl", "certificate"),
            ("pki/cert/ca/raw/pem", "pki/cert/ca", "certificate"),
            ("pki/cert/23:48/raw", "pki/cert/23:48", "certificate"),
            ("pki/issuer/default/pem", "pki/issuer/default/json", "certificate"),
            ("pki/issuer/a/crl/der", "pki/issuer/a/crl", "crl"),
            ("pki/issuer/a/crl/delta/pem", "pki/issuer/a/crl/delta", "crl"),
            ("ssh-client/public_key", "ssh-client/config/ca", "public_key"),
            ("ssh/issuer/a/public_key", "ssh/issuer/a", "public_key"),
        ] {
            let advice = advice_on_raw(raw).expect(raw);
            assert!(advice.contains(&format!("read {path:?} with secretKey {key:?}")), "{raw}: {advice}");
        }
    }

    #[test]
    fn what_gives_no_secret_is_told() {
        for path in ["sys/metrics?format=prometheus", "sys/pprof/heap"] {
            assert!(advice_on_raw(path).expect(path).contains("gives no secret"), "{path}");
        }
        for path in
            ["identity/oidc/.well-known/keys", "identity/oidc/provider/a/.well-known/openid-configuration"]
        {
            assert!(advice_without_data(path).contains("is public"), "{path}");
        }
        assert!(advice_without_data("auth/token/create").contains("under \"data\""));
        for path in ["secret/data/app", "ca", "pki/issue/web", "", "crl/pem"] {
            assert_eq!(advice_on_raw(path), None, "{path}");
        }
    }
}
