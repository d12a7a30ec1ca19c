//! One HTTP request and its response, with limits: time, at most one redirect, bytes of headers and
//! body, and the namespace's part of the memory.

use std::future::Future;
use std::time::Duration;

use http::header::{HOST, LOCATION};
use http::{HeaderMap, StatusCode};
use reqwest::{Request, Response, Url};
use tokio::time::{Instant, timeout_at};

use crate::arriving::ArrivingBody;
use crate::json::index::{JsonIndex, NotIndexed};
use crate::{Failure, HeavyTurn, Secret, TargetHandle, root_cause};
use coffer_shares::Share;

/// Maximum size of an answer's body, in bytes: twice what a driver accepts, since JSON is longer
/// than the values in it.
pub const MAX_BODY: usize = 8 << 20;

/// Maximum size of the body of an answer with an error status that is read, in bytes.
const MAX_REFUSAL: usize = 64 << 10;

/// Maximum size of all headers of an answer, in bytes. Vault's take less than one KiB.
const MAX_HEADERS: usize = 16 << 10;

/// Maximum time between the headers of an answer and the end of its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Status, headers and body of an answer.
pub(crate) struct Exchange {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Secret,
    /// The index of the body, or why there is none.
    pub(crate) json: Result<JsonIndex, NotIndexed>,
    /// The memory of body and index.
    pub(crate) memory: Share,
}

impl TargetHandle {
    /// Sends a request and reads the whole answer before `deadline`.
    pub(crate) async fn exchange(
        &self,
        mut request: Request,
        tenant: &str,
        turn: &HeavyTurn,
        deadline: Instant,
    ) -> Result<Exchange, Failure> {
        if let Some(host) = &self.host {
            request.headers_mut().insert(HOST, host.clone());
        }
        let deadline =
            Instant::now().checked_add(self.request_timeout).map_or(deadline, |own| own.min(deadline));
        let exchange = async {
            let _turn = self.limits.requests.take(tenant, 1, self.priority).await;
            let _of_others = match &self.requests_to_others {
                Some(requests) => Some(requests.take(tenant, 1, self.priority).await),
                None => None,
            };
            if let Some(rate) = &self.rate
                && !rate.turn_before(deadline).await
            {
                return Err(Failure::TimedOut);
            }
            // before anything is sent: what waits for memory holds none
            let body = ArrivingBody::begin(self, tenant, turn).await?;
            let response = self.send(request).await?;
            within(Instant::now() + BODY_TIMEOUT, read(response, body)).await
        };
        within(deadline, exchange).await
    }

    async fn send(&self, request: Request) -> Result<Response, Failure> {
        let again = request.try_clone();
        let asked = request.url().clone();
        let response = self.execute(request).await?;
        let Some(location) = redirect(&response) else {
            return Ok(response);
        };
        if !self.follow_redirects {
            return Err(Failure::Redirect("following is switched off (VAULT_DISABLE_REDIRECTS)".to_owned()));
        }
        let Some(mut again) = again else {
            return Err(Failure::Redirect("the request cannot be repeated".to_owned()));
        };
        let url = location.map_err(|Nowhere| Failure::Redirect("to nowhere".to_owned()))?;
        if asked.scheme() == "https" && url.scheme() != "https" {
            return Err(Failure::Redirect("from https to http, which would show the token".to_owned()));
        }
        if !self.is_operators && !self.target.is_same_origin(&asked, &url) {
            return Err(Failure::Redirect(
                "to another server, which only an address may do that the operator trusts \
                 (-vault-trusted-addresses)"
                    .to_owned(),
            ));
        }
        if url.authority() != asked.authority() {
            again.headers_mut().remove(HOST);
        }
        *again.url_mut() = url;
        let response = self.execute(again).await?;
        match redirect(&response) {
            Some(_) => Err(Failure::Redirect("more than once".to_owned())),
            None => Ok(response),
        }
    }

    async fn execute(&self, request: Request) -> Result<Response, Failure> {
        self.client.execute(request).await.map_err(|error| {
            if error.is_connect() {
                Failure::Unreachable(root_cause(&error))
            } else if error.is_timeout() {
                Failure::TimedOut
            } else {
                Failure::Broken(root_cause(&error))
            }
        })
    }
}

/// Reads headers and body of an answer. Of an error only the beginning is read.
async fn read(mut response: Response, mut body: ArrivingBody<'_>) -> Result<Exchange, Failure> {
    let header_bytes: usize =
        response.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > MAX_HEADERS {
        return Err(Failure::NotVault(format!("more than {} KiB of headers", MAX_HEADERS >> 10)));
    }
    let is_success = response.status().is_success();
    let limit = if is_success { MAX_BODY } else { MAX_REFUSAL };
    let announced = response.content_length().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if announced.is_some_and(|length| length > MAX_BODY) && is_success {
        return Err(Failure::TooLarge);
    }
    body.expect(announced.filter(|length| *length <= limit));
    while let Some(chunk) = response.chunk().await.map_err(|error| Failure::Broken(root_cause(&error)))? {
        if body.len() + chunk.len() > limit {
            if is_success {
                return Err(Failure::TooLarge);
            }
            break;
        }
        body.push(&chunk).await?;
        if body.is_not_json() {
            break;
        }
    }
    let status = response.status().as_u16();
    let (body, json, memory) = body.end();
    Ok(Exchange { status, headers: std::mem::take(response.headers_mut()), body, json, memory })
}

/// A redirect without a usable address.
struct Nowhere;

/// Returns the target of a redirect; none if the response is no redirect.
///
/// # Errors
/// [`Nowhere`], inside the option, if the redirect has no usable address.
fn redirect(response: &Response) -> Option<Result<Url, Nowhere>> {
    if !matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::TEMPORARY_REDIRECT
    ) {
        return None;
    }
    let target = response
        .headers()
        .get(LOCATION)
        .and_then(|location| response.url().join(location.to_str().ok()?).ok())
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    Some(target.ok_or(Nowhere))
}

async fn within<T>(deadline: Instant, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout_at(deadline, work).await.unwrap_or(Err(Failure::TimedOut))
}
