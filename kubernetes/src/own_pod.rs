//! Which pod this process runs in, by the claims of its own service account token
//! (<https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#schema-for-service-account-private-claims>).

use data_encoding::BASE64URL_NOPAD;
use kube::Config;
use serde::Deserialize;

#[derive(Deserialize)]
struct Claims {
    #[serde(rename = "kubernetes.io")]
    kubernetes: Kubernetes,
}

#[derive(Deserialize)]
struct Kubernetes {
    pod: Pod,
}

#[derive(Deserialize)]
struct Pod {
    uid: String,
}

/// The uid of the pod that our token is bound to; none outside of pods, where no token is. kubelet gives us the token, so
/// nobody has to verify it here.
///
/// # Errors
/// Why the token cannot be read, or that it names no pod, as tokens in Secrets do not.
pub(crate) async fn own_pod(config: &Config) -> Result<Option<String>, String> {
    let Some(path) = &config.auth_info.token_file else { return Ok(None) };
    let token =
        tokio::fs::read_to_string(path).await.map_err(|error| format!("cannot read {path}: {error}"))?;
    let pod = pod_of(&token).ok_or_else(|| {
        format!(
            "the token in {path} names no pod: use the one that kubelet mounts (automountServiceAccountToken)"
        )
    })?;
    Ok(Some(pod))
}

fn pod_of(token: &str) -> Option<String> {
    let payload = BASE64URL_NOPAD.decode(token.split('.').nth(1)?.as_bytes()).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    Some(claims.kubernetes.pod.uid)
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;

    use super::pod_of;

    fn token(claims: &str) -> String {
        format!("header.{}.signature", BASE64URL_NOPAD.encode(claims.as_bytes()))
    }

    #[test]
    fn a_bound_token_tells_its_pod() {
        let bound = r#"{"sub":"x","kubernetes.io":{"namespace":"n","pod":{"name":"p","uid":"u"}}}"#;
        assert_eq!(pod_of(&token(bound)).as_deref(), Some("u"));
        for other in [&token(r#"{"kubernetes.io":{"namespace":"n"}}"#), "opaque", "", "a.b.c"] {
            assert_eq!(pod_of(other), None, "{other}");
        }
    }
}
