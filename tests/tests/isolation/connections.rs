//! Attacks on the API server's port by clients that nobody knows.

use std::sync::Arc;
use std::time::Duration;

use coffer_tests::Suite;
use coffer_tests::kubernetes::aggregated::{HOST, RawDialer};
use futures_util::future::join_all;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::api::{ApiArena, ApiAttacker, attack};

/// More than the server takes.
const CONNECTIONS: usize = 1200;

/// The pause before a connection that was closed is opened again.
const PAUSE: Duration = Duration::from_secs(2);

pub(crate) fn tests(suite: Suite<ApiArena>) -> Suite<ApiArena> {
    let suite = attack(suite, "nothing_at_all_by_the_api", async |_| std::future::pending().await);
    let suite = attack(suite, "anonymous_connections", async |a| hold(&a.http1, b"", b"").await);
    let suite = attack(suite, "partial_headers_before_any_trust", partial_headers);
    let suite = attack(suite, "tls_handshakes_that_stall", stalled_handshakes);
    let suite = attack(suite, "http2_streams_that_are_reset", rapid_reset);
    let suite = attack(suite, "http2_continuation_before_any_trust", continuation);
    let suite = attack(suite, "http2_pings_before_any_trust", pings);
    let suite = attack(suite, "bodies_that_nobody_reads", bodies);
    attack(suite, "tokens_that_nobody_issued", unknown_tokens)
}

async fn partial_headers(attacker: Arc<ApiAttacker>) {
    let again = "a".repeat(16 << 10);
    hold(&attacker.http1, b"GET /livez HTTP/1.1\r\nX-Padding: ", again.as_bytes()).await;
}

async fn bodies(attacker: Arc<ApiAttacker>) {
    let first = format!("POST /apis HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 999999999\r\n\r\n");
    hold(&attacker.http1, first.as_bytes(), "a".repeat(16 << 10).as_bytes()).await;
}

/// HEADERS and RST_STREAM of ever new streams.
async fn rapid_reset(attacker: Arc<ApiAttacker>) {
    let stream =
        |i: u32| [frame(1, 5, 2 * i + 1, &request()), frame(3, 0, 2 * i + 1, &[0, 0, 0, 8])].concat();
    let streams: Vec<u8> = (0..2000).flat_map(stream).collect();
    hold(&attacker.http2, &[preface(), streams].concat(), &frame(6, 0, 0, &[0; 8])).await;
}

async fn continuation(attacker: Arc<ApiAttacker>) {
    let field = [&[0, 9][..], b"x-padding", &[100], &[b'a'; 100]].concat();
    let first = [preface(), frame(1, 0, 1, &request())].concat();
    hold(&attacker.http2, &first, &frame(9, 0, 1, &field.repeat(140))).await;
}

async fn pings(attacker: Arc<ApiAttacker>) {
    let again = [frame(6, 0, 0, &[0; 8]), frame(4, 0, 0, &[])].concat().repeat(200);
    hold(&attacker.http2, &preface(), &again).await;
}

fn preface() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, &[])[..]].concat()
}

/// The header block of `GET https://HOST/apis`.
fn request() -> Vec<u8> {
    [&[0x82, 0x87, 0x04, 5][..], b"/apis", &[0x41, 1, b'h']].concat()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// TCP connections that say nothing, or only the head of a ClientHello.
async fn stalled_handshakes(attacker: Arc<ApiAttacker>) {
    let one = async |number: usize| loop {
        if let Ok(mut stream) = TcpStream::connect(attacker.http1.address()).await {
            if number.is_multiple_of(2) {
                let _ = stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252]).await;
            }
            let _ = stream.read(&mut [0; 8]).await;
        }
        sleep(PAUSE).await;
    };
    join_all((0..CONNECTIONS).map(one)).await;
}

/// Each has to be asked about at kube-apiserver.
async fn unknown_tokens(attacker: Arc<ApiAttacker>) {
    let api = &attacker.arena.api;
    let direct = api.direct_to(&api.server, &api.serving_ca().await);
    let one = async |number: usize| {
        for round in 0.. {
            let token = format!("Bearer {number}-{round}-{}", "a".repeat(6000));
            let _ = direct.try_get("/apis", &[("Authorization", &token)]).await;
            sleep(Duration::from_millis(10)).await;
        }
    };
    join_all((0..60).map(one)).await;
}

/// Keeps all connections open, sends these bytes first and those again and again, and opens another
/// one for each that is closed.
async fn hold(dialer: &RawDialer, first: &[u8], again: &[u8]) {
    let one = async || loop {
        if let Ok(Ok(mut stream)) = timeout(Duration::from_secs(10), dialer.dial()).await {
            let _ = stream.write_all(first).await;
            let _ = stream.flush().await;
            while goes_on(&mut stream, again).await {}
        }
        sleep(PAUSE).await;
    };
    join_all((0..CONNECTIONS).map(|_| one())).await;
}

/// Sends the bytes, and reads for a while. Returns whether the connection is still open.
async fn goes_on(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), again: &[u8]) -> bool {
    let sent = stream.write_all(again).await.is_ok() && stream.flush().await.is_ok();
    let read = timeout(Duration::from_millis(200), stream.read(&mut [0; 1024])).await;
    sent && !matches!(read, Ok(Ok(0) | Err(_)))
}
