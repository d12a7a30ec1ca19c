//! Connections: accepted, led through the TLS handshake, served as HTTP/2 or HTTP/1.1, and closed
//! where a client is too slow.

mod pace;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use nix::sys::socket::{setsockopt, sockopt};
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use self::pace::{Pace, PacedStream};
use crate::handler::Handler;

/// Connections at once, at most.
const MAX_CONNECTIONS: usize = 1000;

/// Time limit for the TLS handshake and, with HTTP/1.1, for the headers of each request.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time after which the system closes a connection whose peer acknowledges nothing
/// (`TCP_USER_TIMEOUT`).
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of all headers of a request, at most: Go's `MaxHeaderBytes`.
const MAX_HEADER_BYTES: u32 = 1 << 20;

/// Headers of a request, at most. A user in 500 groups comes with 500 headers.
const MAX_HEADERS: usize = 4000;

/// Requests at once on one connection, at most: the limit of kube-apiserver.
const MAX_STREAMS: u32 = 250;

/// Accepts connections until `stop` is ready. Then sends GOAWAY on the open ones and waits for
/// their requests, for at most `drain`.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Arc<ArcSwap<ServerConfig>>,
    handler: Arc<Handler>,
    stop: impl Future<Output = ()>,
    drain: Duration,
) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // most likely there are no file descriptors left, and the next accept would
                    // fail too
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            tracing::warn!(limit = MAX_CONNECTIONS, "too many connections: one was refused");
            continue;
        };
        let tls = TlsAcceptor::from(tls.load_full());
        tokio::spawn(connection(stream, tls, Arc::clone(&handler), graceful.watcher(), permit));
    }
    drop(listener);
    if timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end before the end of draining");
    }
}

async fn connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    handler: Arc<Handler>,
    graceful: hyper_util::server::graceful::Watcher,
    _permit: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    let unacknowledged = u32::try_from(UNACKNOWLEDGED_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    let _ = setsockopt(&stream, sockopt::TcpUserTimeout, &unacknowledged);
    // port scanners and TCP probes end here: not worth a log line
    let Ok(Ok(stream)) = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await else { return };
    let chain: Arc<[CertificateDer<'static>]> =
        stream.get_ref().1.peer_certificates().unwrap_or_default().into();
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");

    let pace = Pace::new();
    let service = {
        let pace = pace.clone();
        service_fn(move |request: http::Request<Incoming>| {
            let (handler, chain, in_progress) =
                (Arc::clone(&handler), Arc::clone(&chain), pace.request_received());
            async move { Ok::<_, Infallible>(in_progress.respond(handler.answer(&request, &chain).await)) }
        })
    };
    let builder = builder(is_http2);
    let served = builder.serve_connection(TokioIo::new(PacedStream::new(stream, pace.clone())), service);
    let served = graceful.watch(served.into_owned());
    tokio::select! {
        _ = served => {}
        reason = pace.too_slow() => tracing::info!(reason, "closed the connection of a slow client"),
    }
}

fn builder(is_http2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    // ALPN has decided: the first bytes are not examined
    if is_http2 { builder.http2_only() } else { builder.http1_only() }
}
