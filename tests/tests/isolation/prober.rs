//! kubelet's probes, once a second with a second's patience.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{interval, timeout};

use crate::report::Probes;

const PATIENCE: Duration = Duration::from_secs(1);

/// Probes `/health/live` and `/health/ready` until `end` is true, each on a new connection.
pub(crate) async fn probe_until(address: String, mut end: watch::Receiver<bool>) -> Probes {
    let (mut live, mut ready) = (Probes::default(), Probes::default());
    let mut ticks = interval(PATIENCE);
    while !*end.borrow() {
        tokio::select! {
            _ = ticks.tick() => {
                let both = tokio::join!(probe(&address, "/health/live"), probe(&address, "/health/ready"));
                live.note(both.0);
                ready.note(both.1);
            }
            _ = end.changed() => {}
        }
    }
    live.and(&ready)
}

async fn probe(address: &str, path: &str) -> bool {
    let answer = timeout(PATIENCE, get(address, path)).await;
    matches!(answer, Ok(Ok(head)) if head.starts_with("HTTP/1.1 200 "))
}

async fn get(address: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = vec![0; 64];
    let read = stream.read(&mut head).await?;
    Ok(String::from_utf8_lossy(&head[..read]).into_owned())
}
