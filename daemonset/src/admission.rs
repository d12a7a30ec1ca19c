//! The way of a call into the service and back: calls are decoded a few at a time, and the memory of
//! an answer is held until the answer is sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use coffer_provider::HeldForAnswer;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Semaphore;
use tower::{Layer, Service};

/// Calls that are decoded at once, at most. A call takes up to 4 MiB before its namespace is known,
/// and twice that while it is decoded.
const DECODED_AT_ONCE: usize = 2;

/// Leads calls into a service.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Semaphore>);

impl Default for Admission {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(DECODED_AT_ONCE)))
    }
}

impl<S> Layer<S> for Admission {
    type Service = AdmittedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AdmittedService { inner, places: Arc::clone(&self.0) }
    }
}

/// A service whose calls are led into it by [`Admission`].
#[derive(Clone)]
pub(crate) struct AdmittedService<S> {
    inner: S,
    places: Arc<Semaphore>,
}

impl<S, B> Service<Request<B>> for AdmittedService<S>
where
    S: Service<Request<B>, Response = Response<tonic::body::Body>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<HeldBody>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let places = Arc::clone(&self.places);
        Box::pin(async move {
            let place = places.acquire_owned().await.ok();
            // dropped with the rest of the request's head, as soon as the message is decoded
            request.extensions_mut().insert(Arc::new(place));
            let mut response = inner.call(request).await?;
            let held = response.extensions_mut().remove::<Arc<HeldForAnswer>>();
            Ok(response.map(|body| HeldBody { body, _held: held }))
        })
    }
}

/// The body of an answer, with the memory that is given back when the body is sent.
pub(crate) struct HeldBody {
    body: tonic::body::Body,
    _held: Option<Arc<HeldForAnswer>>,
}

impl Body for HeldBody {
    type Data = <tonic::body::Body as Body>::Data;
    type Error = <tonic::body::Body as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
