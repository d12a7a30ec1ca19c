//! A connection as the HTTP client takes it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;

use crate::ByteStream;
use crate::connection_use::ConnectionUse;

/// A connection, with what the HTTP client has to know of it.
pub struct Link {
    io: TokioIo<Box<dyn ByteStream>>,
    connection: ConnectionUse,
    is_http2: bool,
    is_forwarded: bool,
}

impl Link {
    /// `is_http2`: the handshake chose HTTP/2. `is_forwarded`: requests go to a proxy.
    pub(crate) fn new(stream: Box<dyn ByteStream>, is_http2: bool, is_forwarded: bool) -> Self {
        let connection = ConnectionUse::new(is_http2);
        Self { io: TokioIo::new(stream), connection, is_http2, is_forwarded }
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
            self.connection.note_error(error);
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
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
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
        Pin::new(&mut self.io).poll_write_vectored(context, bytes)
    }
}
