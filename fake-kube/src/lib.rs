//! A kube-apiserver in memory, for tests that draw faults and the order of requests.
//!
//! It has what the clients of this workspace rely on: resource versions, 409 for a write that does
//! not know the last one, lists in pages of one moment, watches with bookmarks, and 410 for what
//! is forgotten. All else is tested with a real kube-apiserver.

mod fault;
mod store;
mod watch;

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::watch as channel;
use tokio::time::sleep;
use tower::{BoxError, Service};
use url::Url;

pub use fault::{FaultQueue, RequestFault, RequestFaultKind, drawn_faults};

use crate::store::{ApiFailure, Store};
use crate::watch::READ_TIMEOUT;

/// The body of an answer.
type FakeBody = UnsyncBoxBody<Bytes, BoxError>;

/// A kube-apiserver in memory. A clone is the same server.
#[derive(Clone)]
pub struct FakeKube {
    store: Arc<Mutex<Store>>,
    /// Tells the watches that something changed.
    changed: channel::Sender<()>,
}

impl Default for FakeKube {
    fn default() -> Self {
        Self { store: Arc::default(), changed: channel::Sender::new(()) }
    }
}

impl FakeKube {
    /// Returns a client whose requests meet these faults, one after another.
    #[must_use]
    pub fn client(&self, namespace: &str, faults: &FaultQueue) -> Client {
        Client::new(FakeConnection { server: self.clone(), faults: faults.clone() }, namespace)
    }

    /// Returns the object at a path, such as `/api/v1/namespaces/coffer/secrets/key`.
    #[must_use]
    pub fn object(&self, path: &str) -> Option<Value> {
        self.store().object(path).cloned()
    }

    /// Returns every state that the object at a path ever had, oldest first.
    #[must_use]
    pub fn past_objects(&self, path: &str) -> Vec<Value> {
        self.store().past_objects(path).cloned().collect()
    }

    /// Stores an object, whatever was there.
    pub fn put(&self, path: &str, object: Value) {
        self.store().put(path, Some(object));
        self.changed.send_replace(());
    }

    /// Deletes the object at a path, if there is one.
    pub fn delete(&self, path: &str) {
        self.store().put(path, None);
        self.changed.send_replace(());
    }

    /// Forgets the changes so far: watches and pages that begin before now get 410.
    pub fn forget_changes(&self) {
        self.store().forget_changes();
    }

    /// Makes the server refuse a watch of what is forgotten with the status 410. Otherwise such a
    /// watch begins, and ends with an event that says so.
    pub fn refuse_forgotten(&self, refuse: bool) {
        self.store().refuses_forgotten = refuse;
    }

    /// Ends every watch, as a restart does.
    pub fn end_watches(&self) {
        self.store().watch_generation += 1;
        self.changed.send_replace(());
    }

    /// Lets every watch go silent: it gets no event more and no end.
    pub fn silence_watches(&self) {
        self.store().silent_generation += 1;
        self.changed.send_replace(());
    }

    /// Returns what tells after each request and change.
    #[must_use]
    pub fn changes(&self) -> channel::Receiver<()> {
        self.changed.subscribe()
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what a request asks for.
    fn answer(&self, method: &Method, url: &Url, body: &[u8], fault: RequestFault) -> Response<FakeBody> {
        let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
        let result = if parameter("watch").is_some() {
            return self.watch(url, fault);
        } else {
            self.store().answer(method, url, body)
        };
        self.changed.send_replace(());
        match result {
            Ok(value) => json_answer(200, &value),
            Err(failure) => failure.answer(),
        }
    }
}

/// The connection of one client to the server.
struct FakeConnection {
    server: FakeKube,
    faults: FaultQueue,
}

impl FakeConnection {
    async fn send(
        server: FakeKube,
        fault: RequestFault,
        request: Request<Body>,
    ) -> Result<Response<FakeBody>, BoxError> {
        sleep(fault.before).await;
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        // the client makes requests without an authority
        let url = Url::parse("https://kube")?.join(&parts.uri.to_string())?;
        let unreachable = || Err(io::Error::from(io::ErrorKind::ConnectionReset).into());
        let answer = match fault.kind {
            RequestFaultKind::Unreachable => return unreachable(),
            RequestFaultKind::Refused(code) => ApiFailure::drawn(code).answer(),
            _ => server.answer(&parts.method, &url, &body, fault),
        };
        sleep(fault.after).await;
        match fault.kind {
            RequestFaultKind::AnswerLost => unreachable(),
            RequestFaultKind::Silent => {
                sleep(READ_TIMEOUT).await;
                Err(io::Error::from(io::ErrorKind::TimedOut).into())
            }
            // the connection broke, and the client sent the request again
            RequestFaultKind::SentTwice => Ok(server.answer(&parts.method, &url, &body, fault)),
            _ => Ok(answer),
        }
    }
}

impl Service<Request<Body>> for FakeConnection {
    type Response = Response<FakeBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<FakeBody>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(Self::send(self.server.clone(), self.faults.next(), request))
    }
}

/// Returns an answer with a JSON body.
fn json_answer(status: u16, value: &Value) -> Response<FakeBody> {
    let body = Full::from(value.to_string()).map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    answer
}
