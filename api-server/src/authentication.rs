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
use crate::front_proxy;
use crate::token_review::{TokenReviewError, TokenReviews};
use crate::trust::Trust;
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

    /// Returns the user of a request on a connection with the client's certificates `chain`. The
    /// chain is verified now, however old the connection is.
    ///
    /// # Errors
    /// 401 for a bad credential, 429 or 503 where no verdict on a token was had.
    pub(crate) async fn user(
        &self,
        chain: &[CertificateDer<'_>],
        headers: &HeaderMap,
    ) -> Result<User, ApiError> {
        refuse_impersonation(headers)?;
        let certificate = certificate_user(&self.trust.load(), chain, headers);
        if let CertificateUser::User(user) = certificate {
            return Ok(user.authenticated());
        }
        match bearer_token(headers) {
            Some(token) => match self.tokens.user(&token).await {
                Ok(Some(user)) => Ok(user.authenticated()),
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
    let Some(own) = chain.first() else { return CertificateUser::None };
    if let Some(proxy) = trust.front_proxy.as_ref().filter(|proxy| proxy.authorities.accept(chain)) {
        let name = client_certificate::user(own).map(|user| user.name);
        let is_allowed =
            proxy.allowed_names.is_empty() || name.is_some_and(|name| proxy.allowed_names.contains(&name));
        match front_proxy::user(proxy, headers) {
            Ok(Some(user)) if is_allowed => return CertificateUser::User(user),
            Err(front_proxy::NotUtf8) => return CertificateUser::Rejected,
            _ => {}
        }
    }
    let is_client = trust.clients.as_ref().is_some_and(|authorities| authorities.accept(chain));
    match client_certificate::user(own) {
        Some(user) if is_client => CertificateUser::User(user),
        _ => CertificateUser::Rejected,
    }
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
