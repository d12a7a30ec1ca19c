//! Tokens of service accounts: only where the namespace opted in, and never of the cluster's own audience.

use std::sync::Arc;

use coffer_kubernetes::{CallError, Kubernetes};
use coffer_provider::{Error, ErrorKind, Identity, Secret, TokenMinter};
use futures_util::future::BoxFuture;

use crate::api::MINTER_ROLE;
use crate::token_review::TokenReviews;

/// Mints tokens for an audience that is always named.
pub(crate) struct Minter {
    pub(crate) kubernetes: Arc<Kubernetes>,
    /// The audience where a class names none.
    pub(crate) default_audience: String,
    pub(crate) reviews: Arc<TokenReviews>,
}

impl TokenMinter for Minter {
    fn mint<'a>(
        &'a self,
        identity: &'a Identity,
        audience: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async move {
            let audience = audience.unwrap_or(&self.default_audience);
            let minted = self.kubernetes.request_token(identity, Some(audience)).await;
            let token = minted.map_err(|error| explained(&error, identity))?;
            if audience != self.default_audience {
                self.refuse_the_clusters_own(&token, audience).await?;
            }
            Ok(token)
        })
    }
}

impl Minter {
    /// Who may write a class names its audience: a token that kube-apiserver itself takes would make Vault's
    /// administrators that service account.
    async fn refuse_the_clusters_own(&self, token: &Secret, audience: &str) -> Result<(), Error> {
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

/// A refusal is the namespace's to mend; that kube-apiserver is away is nobody's who reads.
fn explained(error: &CallError, identity: &Identity) -> Error {
    let Identity { namespace, service_account, .. } = identity;
    let message = format!("no token for service account {namespace}/{service_account}: {error}");
    match error {
        CallError::Refused { code: 403, .. } => Error::new(ErrorKind::NoToken, message).with_advice(format!(
            "Namespace {namespace:?} opts in by a RoleBinding of ClusterRole {MINTER_ROLE:?} to this API server's \
             service account"
        )),
        CallError::Refused { code: 404, .. } => Error::new(ErrorKind::NoToken, message)
            .with_advice("Create it, or name another in the class's annotation"),
        CallError::Refused { code: 400..=499, .. } => Error::new(ErrorKind::NoToken, message),
        _ => Error::new(ErrorKind::Unavailable, message),
    }
}

#[cfg(test)]
mod tests {
    use coffer_kubernetes::CallError;
    use coffer_provider::{ErrorKind, Identity};

    use super::explained;

    fn explain(error: &CallError) -> (ErrorKind, String) {
        let identity = Identity { namespace: "ns".to_owned(), service_account: "web".to_owned(), pod: None };
        let error = explained(error, &identity);
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
            CallError::TimedOut,
            CallError::Unreachable("connection refused".to_owned()),
            CallError::Refused { code: 500, message: "etcd".to_owned() },
        ];
        for error in away {
            let (kind, text) = explain(&error);
            assert_eq!(kind, ErrorKind::Unavailable);
            assert!(!text.contains("RoleBinding"), "{text}");
        }
    }
}
