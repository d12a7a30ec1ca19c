//! Whether a client sends requests and reads responses fast enough. A client that does so byte by
//! byte would hold a connection, and the memory of a response, for nothing.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

use crate::respond::AnswerBody;

/// Time limit for the first request of a connection.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Time limit for reading a response, and for reading bytes that wait for the socket.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Time limit without a request on the connection of a trusted client. kube-apiserver sends one
/// every half a minute.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// The same for all other clients.
const UNTRUSTED_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Bytes that an untrusted client may send without a request: the headers of one, and the frames
/// around it.
const UNTRUSTED_BYTES: usize = 20 << 10;

/// Bytes of an untrusted client that are read before others have their turn.
const UNTRUSTED_PIECE: usize = 2 << 10;

/// Interval of the check.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Size of the pieces of a response, in bytes. Pieces show whether the client reads.
const PIECE_BYTES: usize = 16 << 10;

/// What one client has sent and read.
#[derive(Clone)]
pub(super) struct Pace(Arc<Mutex<PaceState>>);

struct PaceState {
    /// When the last response was read, or the connection began.
    idle_since: Instant,
    has_requested: bool,
    is_trusted: bool,
    /// Each request in progress by its number, with the time when its response began; `None` before
    /// that.
    requests: Vec<(u64, Option<Instant>)>,
    next: u64,
    /// Since when bytes wait for the socket.
    unsent_since: Option<Instant>,
    /// Bytes that came since the last request.
    without_request: usize,
}

impl Pace {
    pub(super) fn new() -> Self {
        let state = PaceState {
            idle_since: Instant::now(),
            has_requested: false,
            is_trusted: false,
            requests: Vec::new(),
            next: 0,
            unsent_since: None,
            without_request: 0,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Waits until the client is too slow, and returns what it did not do.
    pub(super) async fn too_slow(&self) -> &'static str {
        loop {
            sleep(CHECK_INTERVAL).await;
            if let Some(reason) = self.state().overdue(Instant::now()) {
                return reason;
            }
        }
    }

    /// Gives the client the time of a trusted one.
    pub(super) fn trust(&self) {
        self.state().is_trusted = true;
    }

    /// Records a request, which is in progress until the returned value is dropped.
    pub(super) fn request_received(&self) -> RequestInProgress {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.has_requested = true;
        state.without_request = 0;
        state.requests.push((id, None));
        RequestInProgress { pace: self.clone(), id }
    }

    fn state(&self) -> MutexGuard<'_, PaceState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PaceState {
    /// Notes bytes that came. Returns whether an untrusted client sends too much besides requests:
    /// HTTP/2 has frames that cost the client nothing.
    fn sends_too_much(&mut self, bytes: usize) -> bool {
        self.without_request = self.without_request.saturating_add(bytes);
        !self.is_trusted && self.without_request > UNTRUSTED_BYTES
    }

    fn overdue(&self, now: Instant) -> Option<&'static str> {
        let passed = |since: Instant, time| now.saturating_duration_since(since) >= time;
        let waiting = self.requests.iter().filter_map(|(_, since)| *since).chain(self.unsent_since);
        if waiting.min().is_some_and(|since| passed(since, READ_TIMEOUT)) {
            return Some("it did not read its response");
        }
        if !self.requests.is_empty() {
            return None;
        }
        let idle = if self.is_trusted { IDLE_TIMEOUT } else { UNTRUSTED_IDLE_TIMEOUT };
        match self.has_requested {
            false if passed(self.idle_since, FIRST_REQUEST_TIMEOUT) => Some("it sent no request"),
            true if passed(self.idle_since, idle) => Some("it sent no further request"),
            _ => None,
        }
    }
}

/// A request in progress, until its response is read.
pub(super) struct RequestInProgress {
    pace: Pace,
    id: u64,
}

impl RequestInProgress {
    /// Returns the response, whose time limit for reading begins now.
    pub(super) fn respond(self, response: Response<AnswerBody>) -> Response<PacedBody> {
        let now = Instant::now();
        for (id, since) in &mut self.pace.state().requests {
            if *id == self.id {
                *since = Some(now);
            }
        }
        response.map(|answer| PacedBody { answer, _request: self })
    }
}

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        let mut state = self.pace.state();
        state.requests.retain(|(id, _)| *id != self.id);
        state.idle_since = Instant::now();
    }
}

/// A response's body, handed over as fast as the client reads it.
pub(super) struct PacedBody {
    answer: AnswerBody,
    _request: RequestInProgress,
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.answer.next_piece(PIECE_BYTES).map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.answer.exact_len() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.exact_len().map_or_else(SizeHint::default, |len| SizeHint::with_exact(len as u64))
    }
}

/// A connection that records since when bytes wait for it.
pub(super) struct PacedStream<S> {
    stream: S,
    pace: Pace,
    /// Whether the last call returned bytes of an untrusted client.
    has_read: bool,
}

impl<S> PacedStream<S> {
    pub(super) fn new(stream: S, pace: Pace) -> Self {
        Self { stream, pace, has_read: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.pace.state().is_trusted {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        if std::mem::take(&mut self.has_read) {
            // others first
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut piece = [0; UNTRUSTED_PIECE];
        let mut piece = ReadBuf::new(&mut piece[..UNTRUSTED_PIECE.min(buffer.remaining())]);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut piece))?;
        self.has_read = true;
        if self.pace.state().sends_too_much(piece.filled().len()) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        buffer.put_slice(piece.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_pending() {
            self.pace.state().unsent_since.get_or_insert_with(Instant::now);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        let mut state = self.pace.state();
        if flushed.is_pending() {
            state.unsent_since.get_or_insert_with(Instant::now);
        } else {
            state.unsent_since = None;
        }
        drop(state);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use http::Response;
    use http_body_util::BodyExt;

    use super::{
        FIRST_REQUEST_TIMEOUT, IDLE_TIMEOUT, PIECE_BYTES, Pace, READ_TIMEOUT, UNTRUSTED_BYTES,
        UNTRUSTED_IDLE_TIMEOUT,
    };

    #[test]
    fn a_client_without_a_first_or_further_request_is_too_slow() {
        let pace = Pace::new();
        let begun = Instant::now();
        assert_eq!(pace.state().overdue(begun), None);
        assert_eq!(pace.state().overdue(begun + FIRST_REQUEST_TIMEOUT), Some("it sent no request"));
        let request = pace.request_received();
        assert_eq!(
            pace.state().overdue(begun + IDLE_TIMEOUT),
            None,
            "a slow answer is not the client's fault"
        );
        drop(request);
        assert_eq!(pace.state().overdue(begun + FIRST_REQUEST_TIMEOUT), None);
        let later = Instant::now() + UNTRUSTED_IDLE_TIMEOUT;
        assert_eq!(pace.state().overdue(later), Some("it sent no further request"));
        pace.trust();
        assert_eq!(pace.state().overdue(later), None);
        assert_eq!(pace.state().overdue(Instant::now() + IDLE_TIMEOUT), Some("it sent no further request"));
    }

    #[test]
    fn an_untrusted_client_sends_little_besides_requests() {
        let pace = Pace::new();
        assert!(!pace.state().sends_too_much(UNTRUSTED_BYTES));
        assert!(pace.state().sends_too_much(1));
        drop(pace.request_received());
        assert!(!pace.state().sends_too_much(UNTRUSTED_BYTES));
        pace.trust();
        assert!(!pace.state().sends_too_much(100 * UNTRUSTED_BYTES));
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_a_response_is_too_slow_until_it_did() {
        let pace = Pace::new();
        let requests = [1, 2].map(|_| pace.request_received());
        let contents = Bytes::from(vec![7; 2 * PIECE_BYTES + 1]);
        let [first, second] = requests.map(|request| request.respond(Response::new(contents.clone().into())));
        let overdue = || pace.state().overdue(Instant::now() + READ_TIMEOUT);
        assert_eq!(overdue(), Some("it did not read its response"));
        let mut body = first.into_body();
        for size in [PIECE_BYTES, PIECE_BYTES, 1] {
            let piece = body.frame().await.expect("a piece").expect("no error");
            assert_eq!(piece.data_ref().map(Bytes::len), Some(size));
        }
        drop(body);
        assert_eq!(overdue(), Some("it did not read its response"), "there is another response");
        assert_eq!(second.into_body().collect().await.expect("no error").to_bytes(), contents);
        pace.trust();
        assert_eq!(overdue(), None);
    }
}
