//! Tokens of service accounts for reads through the API: only in namespaces that opted in, and
//! never for the cluster's own audience.

use std::sync::Arc;

use coffer_kubernetes::{CallError, Kubernetes};
use coffer_provider::{Error, ErrorKind, Identity, Secret, TokenMinter};
use futures_util::future::BoxFuture;

use crate::api::MINTER_ROLE;
use crate::token_review::TokenReviews;

/// Mints tokens, always for an explicit audience.
pub(crate) struct AudienceMinter {
    pub(crate) kubernetes: Arc<Kubernetes>,
    /// The audience where a class names none.
    pub(crate) default_audience: String,
    pub(crate) reviews: Arc<TokenReviews>,
}

impl TokenMinter for AudienceMinter {
    fn mint<'a>(
        &'a self,
        identity: &'a Identity,
        audience: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async move {
            let audience = audience.unwrap_or(&self.default_audience);
            let minted = self.kubernetes.request_token(identity, Some(audience)).await;
            let token = minted.map_err(|error| no_token(&error, identity))?;
            if audience != self.default_audience {
                self.refuse_cluster_audience(&token, audience).await?;
            }
            Ok(token)
        })
    }
}

impl AudienceMinter {
    /// Refuses a token that kube-apiserver itself accepts. A class names its audience, and such a
    /// token would let Vault's administrators act as the service account.
    async fn refuse_cluster_audience(&self, token: &Secret, audience: &str) -> Result<(), Error> {
        match self.reviews.review(token).await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(Error::class(format!(
                "parameter \"audience\": {audience:?} is the cluster's own, and tokens of it are for kube-apiserver alone"
            ))
            .with_advice("Name one that only Vault takes, and bind the role to it")),
            Err(error) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("whether audience {audience:?} is the cluster's own could not be found out: {error}"),
            )),
        }
    }
}

/// Returns the error of a read without a token. A refusal can be changed by the namespace, a
/// failure of kube-apiserver cannot.
fn no_token(error: &CallError, identity: &Identity) -> Error {
    let Identity { namespace, service_account, .. } = identity;
    let message = format!("no token for service account {namespace}/{service_account}: {error}");
    match error.status() {
        Some(403) => Error::new(ErrorKind::NoToken, message).with_advice(format!(
            "Namespace {namespace:?} opts in by a RoleBinding of ClusterRole {MINTER_ROLE:?} to this API server's \
             service account"
        )),
        Some(404) => Error::new(ErrorKind::NoToken, message)
            .with_advice("Create it, or name another in the class's annotation"),
        Some(400..=499) => Error::new(ErrorKind::NoToken, message),
        None if matches!(error, CallError::NotName(_)) => Error::new(ErrorKind::NoToken, message),
        _ => Error::new(ErrorKind::Unavailable, message),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use coffer_kubernetes::CallError;
    use coffer_provider::{ErrorKind, Identity};

    use super::no_token;

    fn explain(error: &CallError) -> (ErrorKind, String) {
        let identity = Identity { namespace: "ns".to_owned(), service_account: "web".to_owned(), pod: None };
        let error = no_token(error, &identity);
        (error.kind, error.to_string())
    }

    #[test]
    fn a_denial_says_how_a_namespace_opts_in() {
        let (kind, text) = explain(&CallError::Refused { code: 403, message: "forbidden".to_owned() });
        assert_eq!(kind, ErrorKind::NoToken);
        assert!(text.contains("ns/web") && text.contains("coffer-token-minter"), "{text}");
    }

    #[test]
    fn kube_apiservers_absence_is_no_denial() {
        let away = [
            CallError::TimedOut(Duration::from_secs(10)),
            CallError::from(kube::Error::Service("connection refused".into())),
            CallError::Incomplete("token"),
            CallError::Refused { code: 500, message: "etcd".to_owned() },
        ];
        for error in away {
            let (kind, text) = explain(&error);
            assert_eq!(kind, ErrorKind::Unavailable);
            assert!(!text.contains("RoleBinding"), "{text}");
        }
    }
}
