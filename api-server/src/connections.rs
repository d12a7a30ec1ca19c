//! Connections: accepted, taken through TLS, served as HTTP/2 or HTTP/1.1, and cut off where they are slow.

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

use self::pace::{Pace, Paced};
use crate::handler::Handler;

/// Connections at once.
const AT_ONCE: usize = 1000;

/// How long a client may take for the TLS handshake, and with HTTP/1.1 for the headers of each request.
const HELLO: Duration = Duration::from_secs(10);

/// How long the system waits for a peer that is gone.
const UNREAD: Duration = Duration::from_secs(30);

/// Go's `MaxHeaderBytes`. A user of 500 groups comes with 500 headers.
const HEADER_BYTES: u32 = 1 << 20;
const HEADERS: usize = 4000;

/// Requests at once on one connection, as kube-apiserver allows.
const STREAMS: u32 = 250;

/// Accepts connections until `stop`, then sees those there are to their end (GOAWAY), for at most `drain`.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Arc<ArcSwap<ServerConfig>>,
    handler: Arc<Handler>,
    stop: impl Future<Output = ()>,
    drain: Duration,
) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("a connection could not be accepted: {error}");
                    // out of file descriptors, most likely: the next one would fail as well
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!("more than {AT_ONCE} connections: one was refused");
            continue;
        };
        let tls = TlsAcceptor::from(tls.load_full());
        tokio::spawn(connection(stream, tls, Arc::clone(&handler), graceful.watcher(), place));
    }
    drop(listener);
    if timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
}

async fn connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    handler: Arc<Handler>,
    graceful: hyper_util::server::graceful::Watcher,
    _place: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    let unread = u32::try_from(UNREAD.as_millis()).unwrap_or(u32::MAX);
    let _ = setsockopt(&stream, sockopt::TcpUserTimeout, &unread);
    // health probes and port scanners come and go: what ends before the first request is no news
    let Ok(Ok(stream)) = timeout(HELLO, tls.accept(stream)).await else { return };
    let chain: Arc<[CertificateDer<'static>]> =
        stream.get_ref().1.peer_certificates().unwrap_or_default().into();
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");

    let pace = Pace::new();
    let service = {
        let pace = pace.clone();
        service_fn(move |request: http::Request<Incoming>| {
            let (handler, chain, turn) = (Arc::clone(&handler), Arc::clone(&chain), pace.asked());
            async move { Ok::<_, Infallible>(turn.answer(handler.answer(&request, &chain).await)) }
        })
    };
    let builder = builder(is_http2);
    let served = builder.serve_connection(TokioIo::new(Paced::new(stream, pace.clone())), service);
    let served = graceful.watch(served.into_owned());
    tokio::select! {
        _ = served => {}
        why = pace.lost() => tracing::info!("a client was cut off: {why}"),
    }
}

fn builder(is_http2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HELLO)
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_BYTES)
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    // ALPN has decided: nothing is left to guess from the first bytes
    if is_http2 { builder.http2_only() } else { builder.http1_only() }
}
