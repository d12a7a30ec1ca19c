//! Who sends a request: front proxy, client certificate, bearer token or nobody, tried in this
//! order.

use std::sync::Arc;

use arc_swap::ArcSwap;
use coffer_provider::Secret;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use rustls_pki_types::CertificateDer;

use crate::api_error::ApiError;
use crate::client_certificate;
use crate::connections::{CertifiedClient, Client};
use crate::front_proxy;
use crate::token_review::{TokenReviewError, TokenReviews};
use crate::trust::{FrontProxy, Trust};
use crate::user::User;

/// Finds the user of a request.
pub(crate) struct Authentication {
    trust: Arc<ArcSwap<Trust>>,
    tokens: Arc<TokenReviews>,
}

/// The user that a client's certificate proves, judged by the certificate authorities of now.
#[derive(Debug, PartialEq, Eq)]
enum CertificateUser {
    /// There is no certificate.
    None,
    /// The certificate proves this user, or allows its owner to name the user in headers.
    User(User),
    /// No known authority issued the certificate, or the headers beside it name no valid user.
    Rejected,
}

impl Authentication {
    pub(crate) fn new(trust: Arc<ArcSwap<Trust>>, tokens: Arc<TokenReviews>) -> Self {
        Self { trust, tokens }
    }

    /// Returns whether the front proxy is known. Until then no request through kube-apiserver can
    /// be answered.
    pub(crate) fn is_ready(&self) -> bool {
        self.trust.load().front_proxy.is_some()
    }

    /// Returns what a client's certificates prove, at the beginning of its connection.
    pub(crate) fn certified_client(&self, chain: &[CertificateDer<'_>]) -> CertifiedClient {
        certified_client(&self.trust.load(), chain)
    }

    /// Returns the user of a request of a client. Its certificates are verified now, however old
    /// the connection is.
    ///
    /// # Errors
    /// 401 for a bad credential, 429 or 503 where no verdict on a token was had.
    pub(crate) async fn user(&self, client: &Client, headers: &HeaderMap) -> Result<User, ApiError> {
        refuse_impersonation(headers)?;
        let certificate = certificate_user(&self.trust.load(), &client.chain, headers);
        if let CertificateUser::User(user) = certificate {
            return Ok(user.authenticated());
        }
        match bearer_token(headers) {
            Some(token) => match self.tokens.user(&token, client.peer).await {
                Ok(Some(user)) => {
                    client.proved_by_token(&user.name);
                    Ok(user.authenticated())
                }
                Ok(None) => Err(ApiError::unauthorized()),
                Err(error @ TokenReviewError::Busy) => Err(ApiError::too_many(error.to_string())),
                Err(error @ TokenReviewError::Failed(_)) => Err(ApiError::unavailable(error.to_string())),
            },
            None if certificate == CertificateUser::Rejected => Err(ApiError::unauthorized()),
            None => Ok(User::anonymous()),
        }
    }

    /// Refuses a bad certificate on paths that are open to all. Asks nobody, so that these paths
    /// depend on nothing.
    ///
    /// # Errors
    /// 401 for a bad certificate.
    pub(crate) fn check_certificate(
        &self,
        chain: &[CertificateDer<'_>],
        headers: &HeaderMap,
    ) -> Result<(), ApiError> {
        match certificate_user(&self.trust.load(), chain, headers) {
            CertificateUser::Rejected => Err(ApiError::unauthorized()),
            CertificateUser::None | CertificateUser::User(_) => Ok(()),
        }
    }
}

fn certificate_user(trust: &Trust, chain: &[CertificateDer<'_>], headers: &HeaderMap) -> CertificateUser {
    if chain.is_empty() {
        return CertificateUser::None;
    }
    if let Some(proxy) = accepted_front_proxy(trust, chain) {
        match front_proxy::user(proxy, headers) {
            Ok(Some(user)) => return CertificateUser::User(user),
            Err(front_proxy::NotUtf8) => return CertificateUser::Rejected,
            Ok(None) => {}
        }
    }
    client_user(trust, chain).map_or(CertificateUser::Rejected, CertificateUser::User)
}

fn certified_client(trust: &Trust, chain: &[CertificateDer<'_>]) -> CertifiedClient {
    if accepted_front_proxy(trust, chain).is_some() {
        return CertifiedClient::FrontProxy;
    }
    client_user(trust, chain).map_or(CertifiedClient::Unknown, |user| CertifiedClient::User(user.name))
}

/// Returns the front proxy, if the certificates are its own.
fn accepted_front_proxy<'a>(trust: &'a Trust, chain: &[CertificateDer<'_>]) -> Option<&'a FrontProxy> {
    let proxy = trust.front_proxy.as_ref().filter(|proxy| proxy.authorities.accept(chain))?;
    let name = client_certificate::user(chain.first()?).map(|user| user.name);
    let is_allowed =
        proxy.allowed_names.is_empty() || name.is_some_and(|name| proxy.allowed_names.contains(&name));
    is_allowed.then_some(proxy)
}

/// Returns the user whom the certificates prove, if the CA of users issued them.
fn client_user(trust: &Trust, chain: &[CertificateDer<'_>]) -> Option<User> {
    trust.clients.as_ref().filter(|authorities| authorities.accept(chain))?;
    client_certificate::user(chain.first()?)
}

/// Refuses impersonation headers. kube-apiserver removes them, so a request that has some did not
/// come through it.
fn refuse_impersonation(headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
        return Err(ApiError::forbidden("impersonation goes through kube-apiserver, not directly here"));
    }
    Ok(())
}

/// Returns the token of an `Authorization: Bearer` header. Other schemes are ignored, as by
/// Kubernetes' own servers.
fn bearer_token(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then(|| Secret::new(token))
}

#[cfg(test)]
mod tests;
