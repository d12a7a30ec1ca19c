//! Connections: accepted, led through the TLS handshake, served as HTTP/2 or HTTP/1.1, and closed
//! where a client is too slow.

mod client;
mod pace;

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use coffer_process::{LobbyListener, LobbyPlace, LobbySettings};
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use nix::sys::socket::{setsockopt, sockopt};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use self::client::TrustedPlaces;
use self::pace::{Pace, PacedStream};
use crate::handler::Handler;

pub(crate) use self::client::{CertifiedClient, Client};

/// Connections whose clients are not trusted. A client that makes two hundred requests at once
/// opens as many connections, before it knows that it needs one.
///
/// One connection of anyone but the front proxy holds at most 64 KiB of a TLS handshake, or later
/// 33 KiB of records, 32 KiB of a certificate in two copies and 17 KiB of a request's headers, and
/// 48 KiB in the system, whose buffers are twice as large as asked for: 130 KiB. With the 144
/// places of users whom it trusts ([`client`]) that makes 368 * 130 KiB = 47 MiB. Headers are
/// dropped when the user is known. The front proxy's 256 connections take 40 KiB each while nothing
/// is asked: 10 MiB. 12 MiB for the process itself and 6 MiB for 10,000 classes leave 21 MiB of the
/// chart's 96 MiB for reads.
///
/// There are 624 connections, which leaves 400 of 1,024 descriptors for Vault, kube-apiserver and
/// files.
const LOBBY: LobbySettings = LobbySettings { places: 224, receive_buffer: 8 << 10, send_buffer: 16 << 10 };

/// Bytes that the system keeps of answers that the front proxy has not read yet, on one connection.
const FRONT_PROXY_SEND_BUFFER: usize = 128 << 10;

/// Time limit for the TLS handshake and, with HTTP/1.1, for the headers of each request.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Time after which the system closes a connection whose peer acknowledges nothing
/// (`TCP_USER_TIMEOUT`).
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(30);

/// What HTTP may take on one connection.
struct HttpLimits {
    /// Bytes of all headers of a request.
    header_bytes: u32,
    /// Headers of a request.
    headers: usize,
    /// Requests at once.
    streams: u32,
    /// HTTP/2 streams that broke the protocol until the connection is closed.
    broken_streams: usize,
}

/// The limits for everyone but the front proxy. The clients of Go and of hyper begin up to 100
/// requests before they know the server's limit: none of them is refused.
const COMMON: HttpLimits =
    HttpLimits { header_bytes: 16 << 10, headers: 100, streams: 100, broken_streams: 20 };

/// The limits for the front proxy, which names a user in 500 groups by 500 headers: those of
/// kube-apiserver itself, and Go's `MaxHeaderBytes`.
const FRONT_PROXY: HttpLimits =
    HttpLimits { header_bytes: 1 << 20, headers: 4000, streams: 250, broken_streams: 1024 };

/// Bytes that a client may send before they are read: bodies are not read at all.
const WINDOW_BYTES: u32 = 65_535;

/// Bytes of answers that wait for one HTTP/2 stream.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// Requests of one HTTP/2 connection that the client took back before they were begun: more end the
/// connection.
const MAX_TAKEN_BACK: usize = 20;

/// What connections are served with.
struct Connections {
    tls: Arc<ArcSwap<ServerConfig>>,
    handler: Arc<Handler>,
    places: Arc<TrustedPlaces>,
}

/// Accepts connections until `stop` is ready. Then sends GOAWAY on the open ones and waits for
/// their requests, for at most `drain`.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Arc<ArcSwap<ServerConfig>>,
    handler: Arc<Handler>,
    stop: impl Future<Output = ()>,
    drain: Duration,
) {
    let connections = Arc::new(Connections { tls, handler, places: TrustedPlaces::new() });
    let graceful = GracefulShutdown::new();
    let mut listener = LobbyListener::new(listener, LOBBY);
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, place) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let Ok(peer) = stream.peer_addr() else { continue };
        let connections = Arc::clone(&connections);
        tokio::spawn(connections.connection(stream, peer.ip(), place, graceful.watcher()));
    }
    drop(listener);
    if timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end before the end of draining");
    }
}

impl Connections {
    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: IpAddr,
        place: LobbyPlace,
        graceful: Watcher,
    ) {
        let _ = stream.set_nodelay(true);
        let unacknowledged = u32::try_from(UNACKNOWLEDGED_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
        let _ = setsockopt(&stream, sockopt::TcpUserTimeout, &unacknowledged);
        let tls = TlsAcceptor::from(self.tls.load_full());
        // port scanners and TCP probes end here: not worth a log line
        let stream = tokio::select! {
            shaken = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)) => match shaken {
                Ok(Ok(stream)) => stream,
                _ => return,
            },
            () = place.evicted() => return,
        };
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default().into();
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");

        let pace = Pace::new();
        let client = Arc::new(Client::new(peer, chain, place, Arc::clone(&self.places), pace.clone()));
        let certified = self.handler.certified_client(&client.chain);
        client.certified(&certified);
        let limits = if certified == CertifiedClient::FrontProxy {
            let _ = setsockopt(stream.get_ref().0, sockopt::SndBuf, &FRONT_PROXY_SEND_BUFFER);
            &FRONT_PROXY
        } else {
            &COMMON
        };

        let service = service_fn({
            let (handler, client, pace) = (Arc::clone(&self.handler), Arc::clone(&client), pace.clone());
            move |request: Request<Incoming>| {
                let (handler, client) = (Arc::clone(&handler), Arc::clone(&client));
                let in_progress = pace.request_received();
                // a body is discarded: every request that is answered is a GET
                let request = request.map(drop);
                async move {
                    let _answering = client.answering();
                    let answer = handler.answer(request, &client).await;
                    Ok::<_, Infallible>(in_progress.respond(answer))
                }
            }
        });
        let builder = builder(is_http2, limits);
        let served = builder.serve_connection(TokioIo::new(PacedStream::new(stream, pace.clone())), service);
        tokio::select! {
            _ = graceful.watch(served.into_owned()) => {}
            () = client.evicted() => {}
            // whoever connects could fill the log with these lines
            reason = pace.too_slow() => if client.is_trusted() {
                tracing::info!(reason, "closed the connection of a slow client");
            },
        }
    }
}

fn builder(is_http2: bool, limits: &HttpLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_TIMEOUT)
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(limits.header_bytes)
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(MAX_TAKEN_BACK)
        .max_local_error_reset_streams(limits.broken_streams)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    // ALPN has decided: the first bytes are not examined
    if is_http2 { builder.http2_only() } else { builder.http1_only() }
}
