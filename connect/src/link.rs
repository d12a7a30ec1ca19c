//! A connection as the HTTP client takes it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;

use crate::ByteStream;
use crate::connection_use::ConnectionUse;
use crate::tls_end::TlsEnd;

/// A connection, with what the HTTP client has to know of it.
pub struct Link {
    io: TokioIo<Box<dyn ByteStream>>,
    connection: ConnectionUse,
    tls_end: TlsEnd,
    is_http2: bool,
    is_forwarded: bool,
}

impl Link {
    /// `is_http2`: the handshake chose HTTP/2. `is_forwarded`: requests go to a proxy. `tls_end`
    /// takes a note if the server ends TLS.
    pub(crate) fn new(
        stream: Box<dyn ByteStream>,
        is_http2: bool,
        is_forwarded: bool,
        tls_end: TlsEnd,
    ) -> Self {
        let connection = ConnectionUse::new(is_http2);
        Self { io: TokioIo::new(stream), connection, tls_end, is_http2, is_forwarded }
    }
}

impl Link {
    /// Reads what a server sent before it closed a connection on which nothing can be written any
    /// more: the reason may be in it, and nobody else would read on. The result of the write waits
    /// for that, which the system tells at once.
    fn after_write<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        let is_closed = matches!(&written, Poll::Ready(Err(error))
            if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset));
        if !is_closed {
            return written;
        }
        let mut bytes = [std::mem::MaybeUninit::uninit(); 1024];
        loop {
            let mut buffer = ReadBuf::uninit(&mut bytes);
            match Pin::new(&mut self.io).poll_read(context, buffer.unfilled()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(Ok(())) => return written,
                Poll::Ready(Err(error)) => {
                    self.tls_end.note(&error);
                    return written;
                }
            }
        }
    }
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.is_forwarded).extra(self.connection.clone());
        if self.is_http2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if let Poll::Ready(Err(error)) = &read {
            self.tls_end.note(error);
        }
        read
    }
}

impl Write for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.after_write(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.after_write(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, bytes);
        self.after_write(written, context)
    }
}
