//! Who asks: front proxy, client certificate, bearer token, or nobody, in this order.

use std::sync::Arc;

use arc_swap::ArcSwap;
use coffer_provider::Secret;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use rustls_pki_types::CertificateDer;

use crate::client_certificate;
use crate::failure::Failure;
use crate::front_proxy;
use crate::token_review::{ReviewError, TokenReviews};
use crate::trust::Trust;
use crate::user::User;

/// Tells who asks.
pub(crate) struct Authentication {
    trust: Arc<ArcSwap<Trust>>,
    tokens: Arc<TokenReviews>,
}

/// What a client's certificate says about it, as of now.
#[derive(Debug, PartialEq, Eq)]
enum Certificate {
    None,
    /// It vouches for this user.
    User(User),
    /// It leads to no authority that is known, or its headers name nobody that can be told.
    Bad,
}

impl Authentication {
    pub(crate) fn new(trust: Arc<ArcSwap<Trust>>, tokens: Arc<TokenReviews>) -> Self {
        Self { trust, tokens }
    }

    /// Whether the front proxy is known: without, no request through kube-apiserver can be answered.
    pub(crate) fn is_ready(&self) -> bool {
        self.trust.load().front_proxy.is_some()
    }

    /// The user of a request on a connection that showed `chain`. The chain is judged now, however old the connection.
    ///
    /// # Errors
    /// A credential that is bad, or that nobody could judge.
    pub(crate) async fn user(
        &self,
        chain: &[CertificateDer<'_>],
        headers: &HeaderMap,
    ) -> Result<User, Failure> {
        refuse_impersonation(headers)?;
        let certificate = certificate(&self.trust.load(), chain, headers);
        if let Certificate::User(user) = certificate {
            return Ok(user.authenticated());
        }
        let is_bad = certificate == Certificate::Bad;
        match (bearer(headers), is_bad) {
            (Some(token), _) => match self.tokens.user(&token).await {
                Ok(Some(user)) => Ok(user.authenticated()),
                Ok(None) => Err(Failure::unauthorized()),
                Err(busy @ ReviewError::Busy) => Err(Failure::too_many(busy.to_string())),
                Err(failed @ ReviewError::Failed(_)) => Err(Failure::unavailable(failed.to_string())),
            },
            (None, true) => Err(Failure::unauthorized()),
            (None, false) => Ok(User::anonymous()),
        }
    }

    /// For paths that are open to all and must depend on nothing: refuses a certificate that is bad, and asks nobody.
    ///
    /// # Errors
    /// The certificate is bad.
    pub(crate) fn open(&self, chain: &[CertificateDer<'_>], headers: &HeaderMap) -> Result<(), Failure> {
        match certificate(&self.trust.load(), chain, headers) {
            Certificate::Bad => Err(Failure::unauthorized()),
            Certificate::None | Certificate::User(_) => Ok(()),
        }
    }
}

fn certificate(trust: &Trust, chain: &[CertificateDer<'_>], headers: &HeaderMap) -> Certificate {
    let Some(own) = chain.first() else { return Certificate::None };
    if let Some(proxy) = trust.front_proxy.as_ref().filter(|proxy| proxy.authority.accepts(chain)) {
        let named = client_certificate::user(own).map(|user| user.name);
        let is_allowed =
            proxy.allowed_names.is_empty() || named.is_some_and(|name| proxy.allowed_names.contains(&name));
        match front_proxy::user(proxy, headers) {
            Ok(Some(user)) if is_allowed => return Certificate::User(user),
            Err(front_proxy::NotText) => return Certificate::Bad,
            _ => {}
        }
    }
    let is_client = trust.clients.as_ref().is_some_and(|authority| authority.accepts(chain));
    match client_certificate::user(own) {
        Some(user) if is_client => Certificate::User(user),
        _ => Certificate::Bad,
    }
}

/// kube-apiserver takes these headers off: whoever sends them here goes around it.
fn refuse_impersonation(headers: &HeaderMap) -> Result<(), Failure> {
    if headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
        return Err(Failure::forbidden("impersonation goes through kube-apiserver, not directly here"));
    }
    Ok(())
}

/// The token of an `Authorization` header; other schemes count for nothing, as in Kubernetes' own servers.
fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then(|| Secret::new(token))
}

#[cfg(test)]
mod tests;
