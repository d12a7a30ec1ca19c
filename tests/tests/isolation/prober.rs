//! A probe of the agent's health port, as kubelet makes it.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::observe::ProbedPath;

/// Returns whether the agent says that it lives, or is ready, on a new connection.
pub(crate) async fn probe_agent(address: String, path: ProbedPath) -> bool {
    let path = match path {
        ProbedPath::Live => "/health/live",
        ProbedPath::Ready => "/health/ready",
    };
    get(&address, path).await.is_ok_and(|head| head.starts_with("HTTP/1.1 200 "))
}

async fn get(address: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = vec![0; 64];
    let read = stream.read(&mut head).await?;
    Ok(String::from_utf8_lossy(&head[..read]).into_owned())
}
