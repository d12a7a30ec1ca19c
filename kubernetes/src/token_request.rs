//! Service account tokens by TokenRequest, for clusters whose CSIDriver asks for none.

use coffer_provider::{Error, ErrorKind, Identity, Secret, TokenMinter};
use futures_util::future::BoxFuture;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;

use super::{CallError, Kubernetes, call};

/// A token is used for one login, soon.
const LIFETIME_SECONDS: i64 = 15 * 60;

impl TokenMinter for Kubernetes {
    fn mint<'a>(
        &'a self,
        identity: &'a Identity,
        audience: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async move {
            let minted = self.request_token(identity, audience).await;
            minted.map_err(|error| explained(&error, identity))
        })
    }
}

impl Kubernetes {
    /// A token of the identity's service account, for this audience or the API server's default one.
    ///
    /// # Errors
    /// What kube-apiserver said, or why it said nothing.
    pub async fn request_token(
        &self,
        identity: &Identity,
        audience: Option<&str>,
    ) -> Result<Secret, CallError> {
        let connected = self.connected().await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(connected.client.clone(), &identity.namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                // none asks for the API server's default audience
                audiences: Some(audience.map(ToOwned::to_owned).into_iter().collect()),
                expiration_seconds: Some(LIFETIME_SECONDS),
                bound_object_ref: identity.pod.as_ref().map(|pod| BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: Some(pod.name.clone()),
                    uid: Some(pod.uid.clone()),
                }),
            }),
            ..TokenRequest::default()
        };
        let post = PostParams::default();
        let answer = call(accounts.create_token_request(&identity.service_account, &post, &request)).await?;
        let token = answer.status.and_then(|status| status.token).filter(|token| !token.is_empty());
        token.map(Secret::new).ok_or_else(|| CallError::Unreachable("it answered without a token".to_owned()))
    }
}

fn explained(error: &CallError, identity: &Identity) -> Error {
    let account = format!("{}/{}", identity.namespace, identity.service_account);
    let advice = match error {
        CallError::Refused { code: 403, .. } => {
            "Grant the provider \"create\" on \"serviceaccounts/token\", or set tokenRequests in the CSIDriver object"
        }
        CallError::Refused { code: 404 | 409, .. } => "Check that service account and pod are there",
        _ => "Set tokenRequests in the CSIDriver object to do without it",
    };
    Error::new(
        ErrorKind::NoToken,
        format!("no token for service account {account} was sent along or minted: {error}"),
    )
    .with_advice(advice)
}
