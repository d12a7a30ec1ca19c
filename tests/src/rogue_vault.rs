//! The "Vault" of an attacker: a TCP server that answers by script, without end where the test
//! wants it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::tls::TestCa;

/// What an attacker's server does next on a connection.
#[derive(Clone, Debug)]
pub enum RogueAct {
    /// Sends these bytes.
    Write(Arc<[u8]>),
    /// Sends these bytes again and again, as fast as they are read.
    WriteForEver(Arc<[u8]>),
    /// Sends these bytes one at a time, with a pause after each.
    Drip(Arc<[u8]>, Duration),
    /// Does nothing for that time.
    Wait(Duration),
    /// Does nothing any more, and keeps the connection open.
    Stall,
    /// Closes the connection.
    Close,
}

/// A server of an attacker. Dropping the value ends it and its connections.
#[derive(Debug)]
pub struct RogueVault {
    address: String,
    task: JoinHandle<()>,
}

/// Decides on the acts by the request's first line (`GET /v1/kv/app HTTP/1.1`) and its number on
/// the server.
type Script = dyn Fn(&str, usize) -> Vec<RogueAct> + Send + Sync;

impl RogueVault {
    /// Serves HTTP: reads a request, performs the script's acts, reads the next one.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(script: impl Fn(&str, usize) -> Vec<RogueAct> + Send + Sync + 'static) -> Self {
        Self::serve(None, Arc::new(script)).await
    }

    /// Serves HTTPS, with a certificate of that authority for `127.0.0.1`.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start_tls(
        ca: &TestCa,
        script: impl Fn(&str, usize) -> Vec<RogueAct> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(Some(ca), Arc::new(script)).await
    }

    /// Performs these acts on every HTTP/2 connection, whatever the client says.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn blind_http2(ca: &TestCa, acts: Vec<RogueAct>) -> Self {
        let (listener, address) = bind().await;
        let tls = ca.acceptor_of(&[b"h2"]);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, acts) = (tls.clone(), acts.clone());
                connections.spawn(async move {
                    let (mut from, mut to) = tokio::io::split(tls.accept(stream).await?);
                    let mut sink = tokio::io::sink();
                    // what the client says has to be read, or it would stop reading
                    tokio::select! {
                        read = tokio::io::copy(&mut from, &mut sink) => read.map(drop),
                        performed = perform(&mut to, acts) => performed.map(drop),
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address: format!("https://{address}"), task }
    }

    /// Returns the address with its scheme.
    pub fn address(&self) -> &str {
        &self.address
    }

    async fn serve(ca: Option<&TestCa>, script: Arc<Script>) -> Self {
        let (listener, address) = bind().await;
        let (tls, scheme) = (ca.map(TestCa::acceptor), if ca.is_some() { "https" } else { "http" });
        let task = tokio::spawn(async move {
            let (mut connections, count) = (JoinSet::new(), Arc::default());
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, script, count) = (tls.clone(), Arc::clone(&script), Arc::clone(&count));
                connections.spawn(async move {
                    match tls {
                        None => converse(stream, &*script, &count).await,
                        Some(tls) => converse(tls.accept(stream).await?, &*script, &count).await,
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address: format!("{scheme}://{address}"), task }
    }
}

impl Drop for RogueVault {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns an HTTP answer with these lines after its status line, each ended by CR LF, and a body.
pub fn http_answer(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Arc<[u8]> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status} Rogue\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat().into()
}

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
    let address = listener.local_addr().expect("a bound listener");
    (listener, address)
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    script: &Script,
    count: &AtomicUsize,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(line) = read_request(&mut stream).await? {
        let number = count.fetch_add(1, Ordering::Relaxed);
        if !perform(&mut stream, script(&line, number)).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Returns whether the connection goes on.
async fn perform(stream: &mut (impl AsyncWrite + Unpin), acts: Vec<RogueAct>) -> io::Result<bool> {
    for act in acts {
        match act {
            RogueAct::Write(bytes) => stream.write_all(&bytes).await?,
            RogueAct::WriteForEver(bytes) => loop {
                stream.write_all(&bytes).await?;
            },
            RogueAct::Drip(bytes, pause) => {
                for byte in bytes.iter() {
                    stream.write_all(&[*byte]).await?;
                    stream.flush().await?;
                    sleep(pause).await;
                }
            }
            RogueAct::Wait(time) => sleep(time).await,
            RogueAct::Stall => std::future::pending().await,
            RogueAct::Close => {
                stream.shutdown().await?;
                return Ok(false);
            }
        }
        stream.flush().await?;
    }
    Ok(true)
}

/// Returns the first line of the next request, without the line's end, after reading all of it.
async fn read_request(stream: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Option<String>> {
    let mut first = String::new();
    if stream.read_line(&mut first).await? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    tokio::io::copy(&mut stream.take(length), &mut tokio::io::sink()).await?;
    Ok(Some(first.trim_end().to_owned()))
}
