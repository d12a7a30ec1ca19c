//! Service account tokens by TokenRequest.

use coffer_provider::{Error, ErrorKind, Identity, Secret, TokenMinter};
use futures_util::future::BoxFuture;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;

use crate::CALL_TIMEOUT;
use crate::connection::{Kubernetes, call};
use crate::error::CallError;
use crate::names::check_names;

/// Lifetime of a token, which is used for one login at once.
const LIFETIME_SECONDS: i64 = 15 * 60;

/// Mints tokens for the node agent, in clusters whose CSIDriver object asks for none.
impl TokenMinter for Kubernetes {
    fn mint<'a>(
        &'a self,
        identity: &'a Identity,
        audience: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async move {
            let minted = self.request_token(identity, audience).await;
            minted.map_err(|error| no_token(&error, identity))
        })
    }
}

impl Kubernetes {
    /// Requests a token of the identity's service account for `audience`, or for kube-apiserver's
    /// default one. The token is bound to the identity's pod, where there is one.
    ///
    /// # Errors
    /// kube-apiserver gave no token, or namespace or account have no name that can be asked for.
    pub async fn request_token(
        &self,
        identity: &Identity,
        audience: Option<&str>,
    ) -> Result<Secret, CallError> {
        check_names(&identity.namespace, &identity.service_account)?;
        let client = self.connection().await?.client.clone();
        let accounts: Api<ServiceAccount> = Api::namespaced(client, &identity.namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                // an empty list asks for kube-apiserver's default audience
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
        let created = accounts.create_token_request(&identity.service_account, &post, &request);
        let token = call(CALL_TIMEOUT, created).await?.status.and_then(|status| status.token);
        token.filter(|token| !token.is_empty()).map(Secret::new).ok_or(CallError::Incomplete("token"))
    }
}

fn no_token(error: &CallError, identity: &Identity) -> Error {
    let account = format!("{}/{}", identity.namespace, identity.service_account);
    let advice = match error.status() {
        Some(403) => {
            "Grant the provider \"create\" on \"serviceaccounts/token\", or set tokenRequests in the CSIDriver object"
        }
        Some(404 | 409) => "Check that service account and pod exist",
        _ => "Set tokenRequests in the CSIDriver object to do without it",
    };
    Error::new(
        ErrorKind::NoToken,
        format!("no token for service account {account} was sent along or minted: {error}"),
    )
    .with_advice(advice)
}
