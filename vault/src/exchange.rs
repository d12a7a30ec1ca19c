//! One HTTP request and its response, with limits: time, at most one redirect, and bytes of the
//! body.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, LOCATION};
use http::{HeaderMap, StatusCode};
use reqwest::{Request, Response, Url};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{Failure, Secret, TargetHandle, root_cause};

/// Maximum size of an answer's body, in bytes: twice what a driver accepts, since JSON is longer
/// than the values in it.
pub const MAX_BODY: usize = 8 << 20;

/// Maximum wait for memory that the bodies of other answers take.
const MEMORY_WAIT: Duration = Duration::from_secs(10);

/// Size up to which a body is not counted, in bytes, so that a small answer never waits behind
/// large ones.
const FREE_BYTES: usize = 16 << 10;

/// Maximum time between the headers of an answer and the end of its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Status, headers and body of an answer.
pub(crate) struct Exchange {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Secret,
    pub(crate) bytes: BodyBytes,
}

impl TargetHandle {
    /// Sends a request and reads the whole answer before `deadline`.
    pub(crate) async fn exchange(
        &self,
        mut request: Request,
        deadline: Instant,
    ) -> Result<Exchange, Failure> {
        if let Some(host) = &self.host {
            request.headers_mut().insert(HOST, host.clone());
        }
        let deadline =
            Instant::now().checked_add(self.request_timeout).map_or(deadline, |own| own.min(deadline));
        let exchange = async {
            let _turn = self.limits.requests.acquire().await.map_err(|_| Failure::TimedOut)?;
            if let Some(rate) = &self.rate
                && !rate.turn_before(deadline).await
            {
                return Err(Failure::TimedOut);
            }
            let response = self.send(request).await?;
            self.read(response).await
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

    /// Reads the body of an answer. The announced length counts against the memory limit of this
    /// server, the bytes that have arrived against the limit of all servers.
    async fn read(&self, mut response: Response) -> Result<Exchange, Failure> {
        let announced = response.content_length().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if announced.is_some_and(|length| length > MAX_BODY) {
            return Err(Failure::TooLarge);
        }
        let mut bytes = BodyBytes::default();
        let mut body = Secret::default();
        let all_of_it = async {
            while let Some(chunk) =
                response.chunk().await.map_err(|error| Failure::Broken(root_cause(&error)))?
            {
                if body.len() + chunk.len() > MAX_BODY {
                    return Err(Failure::TooLarge);
                }
                body.push(&chunk);
                if body.len() > FREE_BYTES {
                    bytes.reserve(self, announced.unwrap_or(MAX_BODY)).await?;
                    bytes.cover(self, body.len()).await?;
                }
            }
            bytes.settle(body.len());
            Ok(())
        };
        within(Instant::now() + BODY_TIMEOUT, all_of_it).await?;
        let status = response.status().as_u16();
        Ok(Exchange { status, headers: std::mem::take(response.headers_mut()), body, bytes })
    }
}

/// The part of the memory limits that a body takes, released when dropped.
#[derive(Debug, Default)]
pub struct BodyBytes {
    own: Option<OwnedSemaphorePermit>,
    all: Option<OwnedSemaphorePermit>,
}

impl BodyBytes {
    /// Takes memory from the limit of the server, once and for the whole body. Bodies that each had
    /// a part could wait for each other forever.
    async fn reserve(&mut self, target: &TargetHandle, bytes: usize) -> Result<(), Failure> {
        if self.own.is_none() {
            self.own = Some(take(&target.limits.bytes, bytes).await?);
        }
        Ok(())
    }

    /// Raises the part of the limit of all servers to the bytes that have arrived.
    async fn cover(&mut self, target: &TargetHandle, bytes: usize) -> Result<(), Failure> {
        let held = self.all.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = take(&target.all_bytes, bytes.saturating_sub(held)).await?;
        match &mut self.all {
            Some(all) => all.merge(more),
            None => self.all = Some(more),
        }
        Ok(())
    }

    /// Releases the bytes that were reserved and did not arrive.
    fn settle(&mut self, bytes: usize) {
        if let Some(own) = &mut self.own {
            drop(own.split(own.num_permits().saturating_sub(bytes)));
        }
    }
}

async fn take(memory: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Failure> {
    let bytes = u32::try_from(bytes).map_err(|_| Failure::TooLarge)?;
    match timeout(MEMORY_WAIT, Arc::clone(memory).acquire_many_owned(bytes)).await {
        Ok(Ok(taken)) => Ok(taken),
        _ => Err(Failure::OutOfMemory),
    }
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
