//! One HTTP request and its response, with limits: time, at most one redirect, bytes of headers and
//! body, and the namespace's part of the memory.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use coffer_connect::{HttpFailure, Patience, Sent};
use http::header::LOCATION;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::arriving::ArrivingBody;
use crate::json::index::{JsonIndex, NotIndexed};
use crate::{Failure, HeavyTurn, LostAnswer, Secret, TargetHandle};
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

/// A request to Vault, with its whole body.
pub(crate) type HttpRequest = Request<Full<Bytes>>;

impl TargetHandle {
    /// Sends a request and reads the whole answer before the deadline of `patience`, or before the
    /// timeout of one request. Sets `began` when nothing is waited for but the server.
    pub(crate) async fn exchange(
        &self,
        request: HttpRequest,
        tenant: &str,
        turn: &HeavyTurn,
        patience: Patience,
        began: &OnceLock<Instant>,
    ) -> Result<Exchange, Failure> {
        let own = Instant::now().checked_add(self.request_timeout);
        let deadline = own.map_or(patience.deadline, |own| own.min(patience.deadline));
        let exchange = async {
            let _turn = self.limits.requests.take(tenant, 1, self.priority).await;
            let _of_others = match &self.requests_to_others {
                Some(requests) => Some(requests.take(tenant, 1, self.priority).await),
                None => None,
            };
            if let Some(rate) = &self.rate
                && !rate.turn_before(deadline).await
            {
                return Err(Failure::TimedOut(LostAnswer::default()));
            }
            // before anything is sent: what waits for memory holds none
            let body = ArrivingBody::begin(self, tenant, turn).await?;
            began.get_or_init(Instant::now);
            let mut sent = self.send(request, Patience { deadline, ..patience }).await?;
            let end = deadline.min(Instant::now() + BODY_TIMEOUT);
            let read = within(end, read(&mut sent.response, body)).await;
            if matches!(read, Err(Failure::TimedOut(_) | Failure::Broken { .. })) {
                self.client.leave_connection_of(&sent);
            }
            read
        };
        within(deadline, exchange).await
    }

    async fn send(&self, request: HttpRequest, patience: Patience) -> Result<Sent, Failure> {
        let mut again = request.clone();
        let sent = self.client.send(request, patience).await?;
        let Some(location) = redirect(again.uri(), &sent.response) else {
            return Ok(sent);
        };
        if !self.follow_redirects {
            return Err(Failure::Redirect("following is switched off (VAULT_DISABLE_REDIRECTS)".to_owned()));
        }
        let Redirect { from, to, uri } =
            location.map_err(|Nowhere| Failure::Redirect("to nowhere".to_owned()))?;
        if from.scheme() == "https" && to.scheme() != "https" {
            return Err(Failure::Redirect("from https to http, which would show the token".to_owned()));
        }
        if !self.is_operators && from.origin() != to.origin() {
            return Err(Failure::Redirect(
                "to another server, which only an address may do that the operator trusts \
                 (-vault-trusted-addresses)"
                    .to_owned(),
            ));
        }
        *again.uri_mut() = uri;
        let sent = self.client.send(again.clone(), patience).await?;
        match redirect(again.uri(), &sent.response) {
            Some(_) => Err(Failure::Redirect("more than once".to_owned())),
            None => Ok(sent),
        }
    }
}

/// Reads headers and body of an answer. Of an error only the beginning is read.
async fn read(response: &mut Response<Incoming>, mut body: ArrivingBody<'_>) -> Result<Exchange, Failure> {
    let header_bytes: usize =
        response.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > MAX_HEADERS {
        return Err(Failure::NotVault(format!("more than {} KiB of headers", MAX_HEADERS >> 10)));
    }
    let is_success = response.status().is_success();
    let limit = if is_success { MAX_BODY } else { MAX_REFUSAL };
    let announced = response.body().size_hint().exact();
    let announced = announced.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if announced.is_some_and(|length| length > MAX_BODY) && is_success {
        return Err(Failure::TooLarge);
    }
    body.expect(announced.filter(|length| *length <= limit));
    while let Some(frame) = response.frame().await {
        let Ok(chunk) = frame.map_err(HttpFailure::of_body)?.into_data() else { continue };
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

/// A redirect.
struct Redirect {
    from: Url,
    to: Url,
    /// The same as `to`.
    uri: Uri,
}

/// A redirect without a usable address.
struct Nowhere;

/// Returns the redirect in a response to a request of `asked`; none if the response is no redirect.
///
/// # Errors
/// [`Nowhere`], inside the option, if the redirect has no usable address.
fn redirect(asked: &Uri, response: &Response<Incoming>) -> Option<Result<Redirect, Nowhere>> {
    if !matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::TEMPORARY_REDIRECT
    ) {
        return None;
    }
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let redirect = location.and_then(|location| {
        let from = Url::parse(&asked.to_string()).ok()?;
        let mut to = from.join(location).ok()?;
        to.set_fragment(None);
        let is_plain = to.username().is_empty() && to.password().is_none();
        let is_http = matches!(to.scheme(), "http" | "https") && to.has_host() && is_plain;
        let uri = to.as_str().parse().ok().filter(|_| is_http)?;
        Some(Redirect { from, to, uri })
    });
    Some(redirect.ok_or(Nowhere))
}

async fn within<T>(deadline: Instant, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late = Err(Failure::TimedOut(LostAnswer::default()));
    timeout_at(deadline, work).await.unwrap_or(late)
}
