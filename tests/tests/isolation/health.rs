//! The health port, which every pod of the node's network may reach.

use std::sync::Arc;
use std::time::Duration;

use coffer_tests::Suite;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::agent::{AgentSetup, attack};
use crate::mallory::Mallory;

/// Connections at once, twice as many as the agent has descriptors.
const CONNECTIONS: usize = 2000;

/// A name, what each connection sends first, and what it sends again and again.
const CASES: [(&str, &str, &str); 6] = [
    ("idle_connections", "", ""),
    (
        "unfinished_headers",
        "GET /health/live HTTP/1.1\r\nX-Padding: ",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ),
    (
        "headers_by_the_thousand",
        "GET /health/live HTTP/1.1\r\n",
        "A: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n",
    ),
    (
        "bodies_without_end",
        "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n",
        "aaaaaaaaaaaa",
    ),
    (
        "http2_prefaces",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        "\0\0\x08\x06\0\0\0\0\0aaaaaaaa",
    ),
    (
        "metrics_that_are_not_read",
        "",
        "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\nGET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
];

pub(crate) fn tests(suite: Suite<AgentSetup>) -> Suite<AgentSetup> {
    let suite = CASES.into_iter().fold(suite, |suite, (name, first, again)| {
        attack(suite, name, move |mallory| hold(mallory, first, again))
    });
    attack(suite, "connections_that_come_and_go", come_and_go)
}

/// Keeps all connections open, and opens another one for each that is closed.
async fn hold(mallory: Arc<Mallory>, first: &str, again: &str) {
    let again = again.repeat(40);
    let one = async || loop {
        if let Ok(mut stream) = TcpStream::connect(&mallory.health).await {
            let _ = stream.write_all(first.as_bytes()).await;
            while stream.write_all(again.as_bytes()).await.is_ok() && !is_closed(&mut stream, &again).await {
                sleep(Duration::from_millis(200)).await;
            }
        }
        sleep(Duration::from_millis(200)).await;
    };
    join_all((0..CONNECTIONS).map(|_| one())).await;
}

/// An idle client reads, to notice that it was closed; the others write.
async fn is_closed(stream: &mut TcpStream, again: &str) -> bool {
    again.is_empty() && matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_))
}

async fn come_and_go(mallory: Arc<Mallory>) {
    let one = async || loop {
        if let Ok(mut stream) = TcpStream::connect(&mallory.health).await {
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
            sleep(Duration::from_millis(1)).await;
        }
    };
    join_all((0..50).map(|_| one())).await;
}
