//! A proxy for HTTP (forwarded requests and CONNECT) and for SOCKS 5, which counts.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A proxy on loopback. A connection that begins with the byte 5 is SOCKS, any other is HTTP.
pub struct ForwardProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    hosts: HashMap<String, SocketAddr>,
    credentials: Option<(String, String)>,
    asked: Mutex<Vec<String>>,
}

impl ForwardProxy {
    /// Starts a proxy. `hosts` says where the names lead that no lookup finds; with `credentials`
    /// it serves only who sends this user name and password.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(hosts: &[(&str, SocketAddr)], credentials: Option<(&str, &str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let shared = Arc::new(Shared {
            hosts: hosts.iter().map(|(host, address)| ((*host).to_owned(), *address)).collect(),
            credentials: credentials.map(|(user, password)| (user.to_owned(), password.to_owned())),
            asked: Mutex::default(),
        });
        let address = listener.local_addr().expect("an address");
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                tokio::spawn(async move { shared.serve(stream).await });
            }
        });
        Self { address, shared, task }
    }

    /// Returns `HOST:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what was asked for: `CONNECT HOST:PORT`, `SOCKS HOST:PORT`, or the method and URL of
    /// a forwarded request. A refused request is listed too.
    ///
    /// # Panics
    /// If the proxy panicked.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().expect("no panic").clone()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        match stream.read_u8().await? {
            5 => self.serve_socks(stream).await,
            first => self.serve_http(stream, first).await,
        }
    }

    fn note(&self, asked: String) {
        self.asked.lock().expect("no panic").push(asked);
    }

    async fn dial(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        match self.hosts.get(host) {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect((host, port)).await,
        }
    }

    /// Serves one tunnel, or one forwarded request and its answer.
    async fn serve_http(&self, mut stream: TcpStream, first: u8) -> io::Result<()> {
        let mut head = vec![first];
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut words = head.split(' ');
        let (method, url) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        self.note(format!("{method} {url}"));
        let wanted = self.credentials.as_ref().map(|(user, password)| {
            format!("proxy-authorization: Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes()))
        });
        let has = |wanted: &str| head.lines().any(|line| line.eq_ignore_ascii_case(wanted));
        if wanted.is_some_and(|wanted| !has(&wanted)) {
            let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\
                           Via: 1.1 test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            return stream.write_all(refusal.as_bytes()).await;
        }
        let authority = url.trim_start_matches("http://").split('/').next().unwrap_or_default();
        let (host, port) = split(authority);
        let mut target = self.dial(&host, port).await?;
        if method == "CONNECT" {
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        } else {
            // one request for each connection, so that each is seen
            let kept = |line: &&str| !line.to_ascii_lowercase().starts_with("connection:");
            let (request, headers) = head.split_once("\r\n").unwrap_or_default();
            let headers: Vec<&str> = headers.trim_end().split("\r\n").filter(kept).collect();
            let head = format!("{request}\r\n{}\r\nConnection: close\r\n\r\n", headers.join("\r\n"));
            let path = url.trim_start_matches("http://").trim_start_matches(authority);
            target.write_all(head.replacen(url, path, 1).as_bytes()).await?;
        }
        copy_bidirectional(&mut stream, &mut target).await.map(drop)
    }

    async fn serve_socks(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut methods = vec![0; usize::from(stream.read_u8().await?)];
        stream.read_exact(&mut methods).await?;
        match &self.credentials {
            None => stream.write_all(&[5, 0]).await?,
            Some(_) if !methods.contains(&2) => {
                self.note("SOCKS".to_owned());
                return stream.write_all(&[5, 0xff]).await;
            }
            Some((user, password)) => {
                stream.write_all(&[5, 2]).await?;
                stream.read_u8().await?;
                let sent = (text(&mut stream).await?, text(&mut stream).await?);
                let good = sent == (user.clone(), password.clone());
                stream.write_all(&[1, u8::from(!good)]).await?;
            }
        }
        let mut head = [0; 4];
        stream.read_exact(&mut head).await?;
        let host = match head[3] {
            1 => std::net::Ipv4Addr::from(stream.read_u32().await?).to_string(),
            4 => std::net::Ipv6Addr::from(stream.read_u128().await?).to_string(),
            _ => text(&mut stream).await?,
        };
        let port = stream.read_u16().await?;
        self.note(format!("SOCKS {host}:{port}"));
        let mut target = self.dial(&host, port).await?;
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        copy_bidirectional(&mut stream, &mut target).await.map(drop)
    }
}

/// Reads a text with its length before it.
async fn text(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn split(authority: &str) -> (String, u16) {
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    (host.trim_matches(['[', ']']).to_owned(), port.parse().unwrap_or(80))
}
