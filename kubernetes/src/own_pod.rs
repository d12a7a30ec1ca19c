//! The pod that this process runs in, from the claims of its own service account token
//! (<https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#schema-for-service-account-private-claims>).

use std::io;

use data_encoding::BASE64URL_NOPAD;
use kube::Config;
use serde::Deserialize;

/// The process's own pod cannot be found out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnPodError {
    #[error("cannot read {path}: {source}")]
    Unreadable { path: String, source: io::Error },
    /// The token is bound to no pod, as are tokens that are stored in Secrets.
    #[error("the token in {0} names no pod: use the one that kubelet mounts (automountServiceAccountToken)")]
    NoPod(String),
}

#[derive(Deserialize)]
struct OwnClaims {
    #[serde(rename = "kubernetes.io")]
    kubernetes: KubernetesClaims,
}

#[derive(Deserialize)]
struct KubernetesClaims {
    pod: PodClaim,
}

#[derive(Deserialize)]
struct PodClaim {
    uid: String,
}

/// Returns the uid of the pod that this process's token is bound to; `None` outside of pods, where
/// there is no token file. The token is not verified: kubelet has written the file.
///
/// # Errors
/// The token cannot be read, or is bound to no pod.
pub(crate) async fn own_pod(config: &Config) -> Result<Option<String>, OwnPodError> {
    let Some(path) = &config.auth_info.token_file else { return Ok(None) };
    let token = tokio::fs::read_to_string(path)
        .await
        .map_err(|source| OwnPodError::Unreadable { path: path.clone(), source })?;
    let uid = bound_pod(&token).ok_or_else(|| OwnPodError::NoPod(path.clone()))?;
    Ok(Some(uid))
}

fn bound_pod(token: &str) -> Option<String> {
    let payload = BASE64URL_NOPAD.decode(token.split('.').nth(1)?.as_bytes()).ok()?;
    let claims: OwnClaims = serde_json::from_slice(&payload).ok()?;
    Some(claims.kubernetes.pod.uid)
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;

    use super::bound_pod;

    fn token(claims: &str) -> String {
        format!("header.{}.signature", BASE64URL_NOPAD.encode(claims.as_bytes()))
    }

    #[test]
    fn a_bound_token_names_its_pod() {
        let bound = r#"{"sub":"x","kubernetes.io":{"namespace":"n","pod":{"name":"p","uid":"u"}}}"#;
        assert_eq!(bound_pod(&token(bound)).as_deref(), Some("u"));
        for other in [&token(r#"{"kubernetes.io":{"namespace":"n"}}"#), "opaque", "", "a.b.c"] {
            assert_eq!(bound_pod(other), None, "{other}");
        }
    }
}
