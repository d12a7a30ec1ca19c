//! HTTP towards kube-apiserver: dead connections are left, and a call that met one is made again.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use coffer_connect::{HttpClient, HttpFailure, Patience};
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use kube::client::Body;
use tokio::time::{Instant, Sleep, sleep};
use tower::{BoxError, Service};

/// Time for an answer if nothing else limits it: longer than any call takes.
const LONG: Duration = Duration::from_secs(3600);

/// Sends calls over kept connections.
///
/// A call that met a dead connection is made again at once, also a POST: reviews and tokens that are
/// asked for twice change nothing, and what exists already or has changed is refused the second
/// time, which the callers expect.
#[derive(Clone)]
pub(crate) struct KubeHttp {
    client: Arc<HttpClient<Body>>,
    read_timeout: Option<Duration>,
}

impl KubeHttp {
    /// An answer ends with an error if nothing of it is received for `read_timeout`.
    pub(crate) fn new(client: HttpClient<Body>, read_timeout: Option<Duration>) -> Self {
        Self { client: Arc::new(client), read_timeout }
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<TimedBody>, HttpFailure> {
        let again = copy(&request);
        let mut sent = self.client.send(request, self.patience(again.is_some())).await;
        if let (Err(failure), Some(again)) = (&sent, again)
            && failure.is_dead_connection()
        {
            sent = self.client.send(again, self.patience(false)).await;
        }
        Ok(sent?.response.map(|body| TimedBody::new(body, self.read_timeout)))
    }

    fn patience(&self, may_repeat: bool) -> Patience {
        Patience { deadline: Instant::now() + self.read_timeout.unwrap_or(LONG), may_repeat }
    }
}

impl Service<Request<Body>> for KubeHttp {
    type Response = Response<TimedBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<TimedBody>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let http = self.clone();
        Box::pin(async move { Ok(http.send(request).await?) })
    }
}

/// Returns a copy of a request; none if its body can be sent only once.
fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// The body of an answer, which fails if nothing of it is received for a time.
pub(crate) struct TimedBody {
    body: Incoming,
    silence: Option<(Duration, Pin<Box<Sleep>>)>,
}

/// Nothing of an answer was received for a time.
#[derive(Debug, thiserror::Error)]
#[error("kube-apiserver sent nothing for {} seconds", time.as_secs())]
struct Silence {
    time: Duration,
    source: io::Error,
}

impl TimedBody {
    fn new(body: Incoming, time: Option<Duration>) -> Self {
        Self { body, silence: time.map(|time| (time, Box::pin(sleep(time)))) }
    }
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let received = Pin::new(&mut self.body).poll_frame(context);
        let Some((time, sleep)) = &mut self.silence else {
            return received.map_err(|error| HttpFailure::of_body(error).into());
        };
        let time = *time;
        if let Poll::Ready(received) = received {
            sleep.as_mut().reset(Instant::now() + time);
            return Poll::Ready(
                received.map(|frame| frame.map_err(|error| HttpFailure::of_body(error).into())),
            );
        }
        std::task::ready!(sleep.as_mut().poll(context));
        Poll::Ready(Some(Err(Silence { time, source: io::ErrorKind::TimedOut.into() }.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
