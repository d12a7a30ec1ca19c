//! The way of a call into the service and back. Large calls are decoded one after another, and small
//! ones pass them. The memory of an answer is held until the answer is sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use coffer_provider::HeldForAnswer;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body as CallBody;
use tower::{Layer, Service};

/// Bytes of one call that the driver may send before the call is decoded. Small calls fit in, so
/// that they never wait behind large ones.
pub(crate) const CALL_WINDOW: u32 = 32 << 10;

/// Bytes of all calls that the driver may send before they are decoded: enough for 512 calls that
/// wait.
pub(crate) const CONNECTION_WINDOW: u32 = 16 << 20;

/// Size up to which a call is small, in bytes. A class and two tokens take some KiB.
const SMALL: usize = 32 << 10;

/// Length of what is before a message: a flag, and the message's length
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests>).
const PREFIX: usize = 5;

/// Leads calls into a service.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Semaphore>);

/// The place of a large call, until its request is decoded, parsed, and counted for its namespace.
/// A small call needs none.
#[derive(Clone, Default)]
pub(crate) struct DecodingPlace {
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl Default for Admission {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
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

impl<S> Service<Request<CallBody>> for AdmittedService<S>
where
    S: Service<Request<CallBody>, Response = Response<CallBody>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<HeldBody>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<CallBody>) -> Self::Future {
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let places = Arc::clone(&self.places);
        Box::pin(async move {
            let (head, mut body) = request.into_parts();
            let first = body.frame().await;
            let is_small = first.as_ref().is_none_or(is_small);
            let place = if is_small { None } else { places.acquire_owned().await.ok() };
            let mut request = Request::from_parts(head, CallBody::new(PeekedBody { first, rest: body }));
            request.extensions_mut().insert(DecodingPlace { _permit: place.map(Arc::new) });
            let mut response = inner.call(request).await?;
            let held = response.extensions_mut().remove::<Arc<HeldForAnswer>>();
            Ok(response.map(|body| HeldBody { body, _held: held }))
        })
    }
}

/// The first frame of a call; an error if the call broke off.
type FirstFrame = Result<Frame<Bytes>, tonic::Status>;

/// Returns whether the message that begins with this frame is small.
fn is_small(first: &FirstFrame) -> bool {
    let Some(mut prefix) = first.as_ref().ok().and_then(Frame::data_ref).and_then(|data| data.get(..PREFIX))
    else {
        return false;
    };
    prefix.advance(1);
    usize::try_from(prefix.get_u32()).is_ok_and(|length| length <= SMALL)
}

/// A body whose first frame was looked at.
struct PeekedBody {
    first: Option<FirstFrame>,
    rest: CallBody,
}

impl Body for PeekedBody {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<FirstFrame>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.first.is_some() { SizeHint::default() } else { self.rest.size_hint() }
    }
}

/// The body of an answer, with the memory that is given back when the body is sent.
pub(crate) struct HeldBody {
    body: CallBody,
    _held: Option<Arc<HeldForAnswer>>,
}

impl Body for HeldBody {
    type Data = <CallBody as Body>::Data;
    type Error = <CallBody as Body>::Error;

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
