//! A tunnel through an HTTP proxy, by CONNECT.

use http::{HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::ProxyCause;
use crate::ByteStream;

/// Maximum bytes of the headers of the proxy's answer.
const MAX_HEADERS: usize = 16 << 10;

/// Asks the proxy at the other end of `stream` for a tunnel to `target`, which is `HOST:PORT`.
pub(super) async fn open(
    stream: &mut (dyn ByteStream + '_),
    target: &str,
    authorization: Option<&HeaderValue>,
) -> Result<(), ProxyCause> {
    let agent = concat!("coffer/", env!("CARGO_PKG_VERSION"));
    let mut request =
        format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {agent}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    stream.flush().await?;
    let answer = read_headers(stream).await?;
    match status(&answer).ok_or(ProxyCause::NotHttp)? {
        status if status.is_success() => Ok(()),
        status => Err(ProxyCause::Refused {
            target: target.to_owned(),
            status,
            has_credentials: authorization.is_some(),
        }),
    }
}

/// Reads the answer up to the empty line that ends its headers. What comes after it in the same
/// packet is left out, as in Go: the target does not speak before the TLS handshake begins.
async fn read_headers(stream: &mut (dyn ByteStream + '_)) -> Result<Vec<u8>, ProxyCause> {
    let mut answer = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(if answer.is_empty() { ProxyCause::Closed } else { ProxyCause::NotHttp });
        }
        let ends = |end: &[u8]| answer.windows(end.len()).any(|bytes| bytes == end);
        if ends(b"\r\n\r\n") || ends(b"\n\n") {
            return Ok(answer);
        }
        if answer.len() > MAX_HEADERS || !(answer.starts_with(b"HTTP/") || b"HTTP/".starts_with(&answer)) {
            return Err(ProxyCause::NotHttp);
        }
    }
}

/// Returns the status of an answer: `HTTP/1.1 200 Connection established`.
fn status(answer: &[u8]) -> Option<StatusCode> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let mut words = line.trim_ascii().split(|byte| *byte == b' ');
    let is_http = words.next()?.starts_with(b"HTTP/1.");
    StatusCode::from_bytes(words.next()?).ok().filter(|_| is_http)
}
