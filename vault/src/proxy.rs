//! HTTP proxies for requests to Vault.

use reqwest::{NoProxy, Proxy};

use crate::{TargetError, settings};

/// Returns the HTTP client's proxies for the settings.
///
/// # Errors
/// [`TargetError::Proxy`], if a proxy is not a URL.
pub(crate) fn proxies(settings: Option<&settings::Proxy>) -> Result<Vec<Proxy>, TargetError> {
    let Some(settings::Proxy { http, https, except }) = settings else {
        return Ok(Vec::new());
    };
    // as in Go, the general proxy is never used for localhost
    let except = except
        .as_ref()
        .and_then(|except| NoProxy::from_string(&format!("{except},localhost,127.0.0.0/8,::1")));
    let http = http.as_ref().map(Proxy::http);
    let https = https.as_ref().map(Proxy::https);
    http.into_iter()
        .chain(https)
        .map(|proxy| proxy.map(|proxy| proxy.no_proxy(except.clone())))
        .collect::<Result<_, _>>()
        .map_err(TargetError::Proxy)
}
