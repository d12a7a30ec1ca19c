//! Tokens of service accounts: only where the namespace opted in, and never of the cluster's own audience.

use std::sync::Arc;

use coffer_provider::{Error, ErrorKind, Identity, Secret, TokenMinter};
use futures_util::future::BoxFuture;

use crate::api::MINTER_ROLE;
use crate::token_review::TokenReviews;

/// Mints tokens for an audience that is always named.
pub(crate) struct Minter {
    pub(crate) inner: Arc<dyn TokenMinter>,
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
            let minted = self.inner.mint(identity, Some(audience)).await;
            let token = minted.map_err(|error| advised(error, identity))?;
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

/// The advice of the minter is for nodes.
fn advised(error: Error, identity: &Identity) -> Error {
    let Identity { namespace, service_account, .. } = identity;
    let message = error.message.replace("was sent along or minted", "was minted");
    Error { message, ..error }.with_advice(format!(
        "Service account {service_account:?} must exist in namespace {namespace:?}, and the namespace opts in by a \
         RoleBinding of ClusterRole {MINTER_ROLE:?} to this API server's service account"
    ))
}

#[cfg(test)]
mod tests {
    use coffer_provider::{Error, ErrorKind, Identity};

    use super::advised;

    #[test]
    fn a_denial_says_how_a_namespace_opts_in() {
        let identity = Identity { namespace: "ns".to_owned(), service_account: "web".to_owned(), pod: None };
        let error = Error::new(
            ErrorKind::NoToken,
            "no token for service account ns/web was sent along or minted: no",
        )
        .with_advice("set tokenRequests");
        let text = advised(error, &identity).to_string();
        assert!(text.contains("coffer-token-minter") && text.contains("was minted: no"), "{text}");
        assert!(!text.contains("tokenRequests"), "{text}");
    }
}
