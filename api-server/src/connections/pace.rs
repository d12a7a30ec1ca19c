//! Whether a client keeps up. One that asks or takes its answer byte by byte holds a connection, and an answer's
//! memory, for nothing.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

/// How long a client may take for its first request.
const ASK: Duration = Duration::from_secs(10);

/// How long it may take for an answer, and for the bytes that lie ready for it.
const TAKE: Duration = Duration::from_secs(20);

/// How long a connection stays that nothing is asked on: kube-apiserver asks every half a minute.
const IDLE: Duration = Duration::from_secs(300);

/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// An answer is handed over in pieces of this size, so that it is seen whether they are taken.
const PIECE: usize = 16 << 10;

/// What one client does.
#[derive(Clone)]
pub(super) struct Pace(Arc<Mutex<State>>);

struct State {
    /// When the last request ended, or the connection began.
    idle_since: Instant,
    has_asked: bool,
    /// When each answer that was not taken whole was begun, and requests that have no answer yet.
    answers: Vec<(u64, Option<Instant>)>,
    next: u64,
    /// Since when bytes wait for the socket.
    unsent_since: Option<Instant>,
}

impl Pace {
    pub(super) fn new() -> Self {
        let state = State {
            idle_since: Instant::now(),
            has_asked: false,
            answers: Vec::new(),
            next: 0,
            unsent_since: None,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Ends when the client does not keep up, with what it does not do.
    pub(super) async fn lost(&self) -> &'static str {
        loop {
            sleep(LOOK).await;
            if let Some(why) = self.state().late(Instant::now()) {
                return why;
            }
        }
    }

    /// A request has come.
    pub(super) fn asked(&self) -> Turn {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.has_asked = true;
        state.answers.push((id, None));
        Turn { pace: self.clone(), id }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn late(&self, now: Instant) -> Option<&'static str> {
        let passed = |since: Instant, time| now.saturating_duration_since(since) >= time;
        let waiting = self.answers.iter().filter_map(|(_, since)| *since).chain(self.unsent_since);
        if waiting.min().is_some_and(|since| passed(since, TAKE)) {
            return Some("it did not take its answer");
        }
        if !self.answers.is_empty() {
            return None;
        }
        match self.has_asked {
            false if passed(self.idle_since, ASK) => Some("it did not ask"),
            true if passed(self.idle_since, IDLE) => Some("it asked nothing any more"),
            _ => None,
        }
    }
}

/// A request in progress, until its answer is taken.
pub(super) struct Turn {
    pace: Pace,
    id: u64,
}

impl Turn {
    /// The answer, to be taken from now on.
    pub(super) fn answer(self, answer: Response<Bytes>) -> Response<Taken> {
        let now = Instant::now();
        for (id, since) in &mut self.pace.state().answers {
            if *id == self.id {
                *since = Some(now);
            }
        }
        answer.map(|rest| Taken { rest, _turn: self })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.pace.state();
        state.answers.retain(|(id, _)| *id != self.id);
        state.idle_since = Instant::now();
    }
}

/// An answer's body, handed over as fast as the client takes it.
pub(super) struct Taken {
    rest: Bytes,
    _turn: Turn,
}

impl Body for Taken {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// A connection that tells when bytes wait for it.
pub(super) struct Paced<S> {
    stream: S,
    pace: Pace,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Pace) -> Self {
        Self { stream, pace }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
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

    use super::{ASK, IDLE, PIECE, Pace, TAKE};

    #[test]
    fn who_asks_nothing_or_nothing_more_is_late() {
        let pace = Pace::new();
        let begun = Instant::now();
        assert_eq!(pace.state().late(begun), None);
        assert_eq!(pace.state().late(begun + ASK), Some("it did not ask"));
        let turn = pace.asked();
        assert_eq!(
            pace.state().late(begun + IDLE),
            None,
            "what is not answered yet is not the client's fault"
        );
        drop(turn);
        assert_eq!(pace.state().late(begun + ASK), None);
        assert_eq!(pace.state().late(Instant::now() + IDLE), Some("it asked nothing any more"));
    }

    #[tokio::test]
    async fn who_does_not_take_an_answer_is_late_until_it_did() {
        let pace = Pace::new();
        let answers = [1, 2].map(|_| pace.asked());
        let contents = Bytes::from(vec![7; 2 * PIECE + 1]);
        let [first, second] = answers.map(|turn| turn.answer(Response::new(contents.clone())));
        let late = || pace.state().late(Instant::now() + TAKE);
        assert_eq!(late(), Some("it did not take its answer"));
        let mut body = first.into_body();
        for size in [PIECE, PIECE, 1] {
            let piece = body.frame().await.expect("a piece").expect("no error");
            assert_eq!(piece.data_ref().map(Bytes::len), Some(size));
        }
        drop(body);
        assert_eq!(late(), Some("it did not take its answer"), "there is another one");
        assert_eq!(second.into_body().collect().await.expect("no error").to_bytes(), contents);
        assert_eq!(late(), None);
    }
}
