//! Makes the `:authority` of older drivers legal.
//!
//! Drivers up to 1.5.6 send their socket's path as `:authority`; h2 takes the `/` in it for a protocol error and
//! resets every call. So, in what is read from the driver, each `/` of that one header becomes a `-`, which is as
//! long in either of HPACK's codings: frames, lengths and the driver's header table stay as they are.

mod frames;
mod hpack;
mod huffman;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    io::{self, IoSlice},
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

use self::{frames::Verdict, hpack::Authority};

/// What a client says first, before any frame.
const PREFACE: usize = 24;

/// A connection on which no client's authority has a `/`.
///
/// It becomes the bare connection with the first legal authority, and with anything that it cannot read: h2 says
/// better what is wrong with that.
pub(crate) struct AuthorityFilter<S> {
    stream: S,
    stage: Stage,
    /// The head of a frame, or the frames of a header block, as far as they have come.
    held: Vec<u8>,
    /// Whether this client has sent an authority that was not legal.
    mended: bool,
}

/// What becomes of the next bytes.
enum Stage {
    /// So many go by as they are: the preface, or a frame's payload.
    Pass(usize),
    /// They are held until there are so many.
    Hold(usize),
    /// Those held go out from this one on; then so many go by, or, with none, all the rest.
    Release(usize, Option<usize>),
    /// All go by.
    Off,
}

impl<S> AuthorityFilter<S> {
    /// Filters what is read from the stream, which must be at its beginning.
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, stage: Stage::Pass(PREFACE), held: Vec::new(), mended: false }
    }

    /// Hands out what is held, from there on.
    fn release(&mut self, from: usize, buf: &mut ReadBuf<'_>) -> usize {
        let to = self.held.len().min(from + buf.remaining());
        buf.put_slice(&self.held[from..to]);
        to
    }

    /// What comes after all that was held.
    fn released(&mut self, next: Option<usize>) -> Stage {
        self.held.clear();
        if next.is_none() {
            self.held = Vec::new();
        }
        next.map_or(Stage::Off, Stage::Pass)
    }

    /// Decides on what is held.
    fn judge(&mut self) -> Stage {
        match frames::judge(&self.held) {
            Verdict::Until(length) => Stage::Hold(length),
            Verdict::Other(payload) => Stage::Release(0, Some(payload)),
            Verdict::Block(parts) => Stage::Release(0, self.mend(&parts).then_some(0)),
            Verdict::Refused => Stage::Release(0, None),
        }
    }

    /// Mends the header block in these parts of what is held; says whether there may be another one to mend.
    fn mend(&mut self, parts: &[Range<usize>]) -> bool {
        let mut block: Vec<u8> = parts.iter().flat_map(|part| &self.held[part.clone()]).copied().collect();
        let Ok(authority) = hpack::mend(&mut block) else {
            return false;
        };
        if authority == Authority::Mended {
            self.mended = true;
            let bytes = parts.iter().flat_map(|part| part.clone());
            bytes.zip(block).for_each(|(at, byte)| self.held[at] = byte);
        }
        self.mended || authority == Authority::Absent
    }
}

impl<S: AsyncRead + Unpin> AuthorityFilter<S> {
    /// Reads at most `length` bytes, and says how many.
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

    /// Reads until `length` bytes are held or there are no more.
    fn poll_hold(&mut self, length: usize, cx: &mut Context<'_>) -> Poll<io::Result<Stage>> {
        while self.held.len() < length {
            let mut chunk = [0; 512];
            let wanted = chunk.len().min(length - self.held.len());
            let mut chunk = ReadBuf::new(&mut chunk[..wanted]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(Stage::Release(0, None)));
            }
            self.held.extend_from_slice(chunk.filled());
        }
        Poll::Ready(Ok(self.judge()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AuthorityFilter<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match this.stage {
                Stage::Off => return Pin::new(&mut this.stream).poll_read(cx, buf),
                Stage::Pass(0) => this.stage = this.judge(),
                Stage::Pass(length) => {
                    let passed = ready!(this.poll_pass(length, cx, buf))?;
                    this.stage = Stage::Pass(length - passed);
                    return Poll::Ready(Ok(()));
                }
                Stage::Hold(length) => this.stage = ready!(this.poll_hold(length, cx))?,
                Stage::Release(from, next) if from < this.held.len() => {
                    this.stage = Stage::Release(this.release(from, buf), next);
                    return Poll::Ready(Ok(()));
                }
                Stage::Release(_, next) => this.stage = this.released(next),
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
