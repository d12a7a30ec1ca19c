//! A filter on connections that makes the `:authority` header of older drivers legal.
//!
//! Drivers up to 1.5.6 send their socket's path as `:authority`. h2 takes the `/` in it for a
//! protocol error and resets every call. So this filter replaces each `/` in that header by `-`.
//! Both have the same length in each of HPACK's codings, so frames, lengths and the driver's header
//! table stay as they are.

mod frames;
mod hpack;
mod huffman;
#[cfg(test)]
pub(crate) mod tests;

use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

use self::frames::HeldFrames;
use self::hpack::AuthorityChange;

/// Length of the preface, which a client sends before any frame.
const PREFACE_BYTES: usize = 24;

/// A connection on which no `:authority` has a `/`.
///
/// It stops filtering at the first legal authority, and at anything that it cannot parse: h2
/// reports that better.
pub(crate) struct AuthorityFilter<S> {
    stream: S,
    stage: FilterStage,
    /// The head of a frame, or the frames of a header block, as far as they were received.
    held: Vec<u8>,
    /// Whether this client has sent an authority that was not legal.
    has_replaced: bool,
}

/// What happens to the next bytes.
enum FilterStage {
    /// This many bytes pass unchanged: the preface, or the payload of a frame.
    Pass(usize),
    /// Bytes are held back until there are this many.
    Hold(usize),
    /// The held bytes from this index on are handed out. After them this many bytes pass; with
    /// `None`, all bytes.
    Release(usize, Option<usize>),
    /// All bytes pass.
    Off,
}

impl<S> AuthorityFilter<S> {
    /// Filters what is read from a stream, which must be at its beginning.
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, stage: FilterStage::Pass(PREFACE_BYTES), held: Vec::new(), has_replaced: false }
    }

    /// Hands out held bytes from an index on, and returns the next index.
    fn release(&mut self, from: usize, buf: &mut ReadBuf<'_>) -> usize {
        let to = self.held.len().min(from + buf.remaining());
        buf.put_slice(&self.held[from..to]);
        to
    }

    /// Returns the stage after all held bytes were handed out.
    fn released(&mut self, next: Option<usize>) -> FilterStage {
        self.held.clear();
        if next.is_none() {
            self.held = Vec::new();
        }
        next.map_or(FilterStage::Off, FilterStage::Pass)
    }

    /// Returns the stage that the held bytes lead to.
    fn examine(&mut self) -> FilterStage {
        match frames::examine(&self.held) {
            HeldFrames::Incomplete(length) => FilterStage::Hold(length),
            HeldFrames::Other(payload) => FilterStage::Release(0, Some(payload)),
            HeldFrames::HeaderBlock(parts) => {
                FilterStage::Release(0, self.replace_slashes(&parts).then_some(0))
            }
            HeldFrames::Invalid => FilterStage::Release(0, None),
        }
    }

    /// Makes the authority legal in the header block that these parts of the held bytes form.
    /// Returns whether the next header block has to be examined too.
    fn replace_slashes(&mut self, parts: &[Range<usize>]) -> bool {
        let mut block: Vec<u8> = parts.iter().flat_map(|part| &self.held[part.clone()]).copied().collect();
        let Ok(authority) = hpack::replace_slashes(&mut block) else {
            return false;
        };
        if authority == AuthorityChange::Replaced {
            self.has_replaced = true;
            let bytes = parts.iter().flat_map(|part| part.clone());
            bytes.zip(block).for_each(|(at, byte)| self.held[at] = byte);
        }
        self.has_replaced || authority == AuthorityChange::Absent
    }
}

impl<S: AsyncRead + Unpin> AuthorityFilter<S> {
    /// Reads at most `length` bytes, and returns how many were read.
    fn poll_pass(
        &mut self,
        length: usize,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = buf.filled().len();
        let mut limited = (&mut self.stream).take(length as u64);
        ready!(Pin::new(&mut limited).poll_read(cx, buf))?;
        Poll::Ready(Ok(buf.filled().len() - before))
    }

    /// Reads until `length` bytes are held or the stream ends.
    fn poll_hold(&mut self, length: usize, cx: &mut Context<'_>) -> Poll<io::Result<FilterStage>> {
        while self.held.len() < length {
            let mut chunk = [0; 512];
            let wanted = chunk.len().min(length - self.held.len());
            let mut chunk = ReadBuf::new(&mut chunk[..wanted]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(FilterStage::Release(0, None)));
            }
            self.held.extend_from_slice(chunk.filled());
        }
        Poll::Ready(Ok(self.examine()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AuthorityFilter<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match this.stage {
                FilterStage::Off => return Pin::new(&mut this.stream).poll_read(cx, buf),
                FilterStage::Pass(0) => this.stage = this.examine(),
                FilterStage::Pass(length) => {
                    let passed = ready!(this.poll_pass(length, cx, buf))?;
                    this.stage = FilterStage::Pass(length - passed);
                    return Poll::Ready(Ok(()));
                }
                FilterStage::Hold(length) => this.stage = ready!(this.poll_hold(length, cx))?,
                FilterStage::Release(from, next) if from < this.held.len() => {
                    this.stage = FilterStage::Release(this.release(from, buf), next);
                    return Poll::Ready(Ok(()));
                }
                FilterStage::Release(_, next) => this.stage = this.released(next),
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AuthorityFilter<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl<S: Connected> Connected for AuthorityFilter<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}
