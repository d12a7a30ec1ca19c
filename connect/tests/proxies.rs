//! The way through proxies, against small proxies on loopback.

#![allow(clippy::unwrap_used)]

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use coffer_connect::{
    ByteStream, Connector, Dialer, HttpClient, HttpClientSettings, HttpFailure, Patience, ProxyRules,
    SystemResolver, TlsSettings,
};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// A target that no lookup finds, so that only a proxy leads to it.
const HTTP: &str = "http://vault.invalid:8200/v1";
const HTTPS: &str = "https://vault.invalid:8200/v1";

/// Stands in a script for an answer that never comes.
const HANGS: &[u8] = b"hangs";

/// What a proxy does with each connection.
#[derive(Clone, Default)]
struct Script {
    is_over_tls: bool,
    /// The length of each message (0: up to the end of HTTP headers), and the answer to it. Without
    /// an answer the connection is closed.
    messages: Vec<(usize, &'static [u8])>,
    target_is_over_tls: bool,
}

struct Proxy {
    address: SocketAddr,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    /// Starts a proxy that follows the script, and is then the target itself.
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, received) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<u8>>>::default());
        let log = Arc::clone(&received);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(follow(Box::new(stream), script.clone(), Arc::clone(&log)));
            }
        });
        Self { address, received }
    }

    fn received(&self) -> Vec<u8> {
        self.received.lock().unwrap().clone()
    }

    /// Sends a GET with the rules of an environment in which `PORT` is the proxy's port. Returns what
    /// the target answers, or the error.
    async fn get(&self, url: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let port = self.address.port().to_string();
        let lookup = |name: &str| {
            let (_, value) = variables.iter().find(|(n, _)| *n == name)?;
            Some(value.replace("PORT", &port))
        };
        let limit = Duration::from_secs(5);
        let rules = Arc::new(ProxyRules::from_environment(&lookup));
        let dialer = Dialer::tcp(Arc::new(SystemResolver), limit);
        let connector = Connector::new(dialer, Some(rules), Some(TLS.1.clone()), limit);
        let settings = HttpClientSettings {
            max_idle: 4,
            idle_timeout: limit,
            ping_interval: limit,
            ping_timeout: limit,
        };
        let client = HttpClient::<Full<Bytes>>::new(connector, settings);
        let request = Request::get(url).body(Full::default()).unwrap();
        let patience = Patience { deadline: Instant::now() + Duration::from_secs(30), may_repeat: true };
        match client.send(request, patience).await {
            Ok(sent) => {
                let body = sent.response.into_body().collect().await.unwrap().to_bytes();
                Ok(String::from_utf8_lossy(&body).into_owned())
            }
            Err(HttpFailure::Unreachable(failure)) => {
                Err(failure.to_string().replace(&self.address.to_string(), "PROXY"))
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

async fn follow(stream: Box<dyn ByteStream>, script: Script, log: Arc<Mutex<Vec<u8>>>) {
    let mut stream = stream;
    if script.is_over_tls {
        stream = Box::new(TLS.0.accept(stream).await.unwrap());
    }
    for (length, answer) in script.messages {
        let mut message = Vec::new();
        while if length == 0 { !message.ends_with(b"\r\n\r\n") } else { message.len() < length } {
            message.push(stream.read_u8().await.unwrap());
        }
        log.lock().unwrap().extend(message);
        if answer.is_empty() {
            return;
        }
        if answer == HANGS {
            return std::future::pending().await;
        }
        stream.write_all(answer).await.unwrap();
    }
    if script.target_is_over_tls {
        stream = Box::new(TLS.0.accept(stream).await.unwrap());
    }
    let service = service_fn(|request: Request<Incoming>| async move {
        let credentials = request.headers().get("proxy-authorization").map(|value| value.to_str().unwrap());
        let seen = format!("{} {}", request.uri(), credentials.unwrap_or("-"));
        Ok::<_, io::Error>(hyper::Response::new(Full::new(Bytes::from(seen))))
    });
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// TLS of the proxies and the target, and of the client.
static TLS: LazyLock<(TlsAcceptor, TlsSettings)> = LazyLock::new(|| {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let names = ["vault.invalid", "localhost"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let certificate = made.cert.der().clone();
    let server = ServerConfig::builder().with_no_client_auth();
    let server = server.with_single_cert(vec![certificate.clone()], key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), TlsSettings::new(client, None))
});

const CREDENTIALS: &str = "Basic dXM6cEBzcw==";

#[tokio::test]
async fn https_goes_through_a_tunnel_and_http_to_the_proxy_itself() {
    for (scheme, is_over_tls) in [("http", false), ("https", true)] {
        let url = format!("{scheme}://us:p%40ss@localhost:PORT");
        let messages = vec![(0, &b"HTTP/1.1 200 Connection established\r\n\r\n"[..])];
        let tunnel = Proxy::start(Script { is_over_tls, messages, target_is_over_tls: true }).await;
        assert_eq!(tunnel.get(HTTPS, &[("HTTPS_PROXY", &url)]).await.as_deref(), Ok("/v1 -"));
        let seen = String::from_utf8(tunnel.received()).unwrap();
        assert!(
            seen.starts_with("CONNECT vault.invalid:8200 HTTP/1.1\r\nHost: vault.invalid:8200\r\n"),
            "{seen}"
        );
        assert!(seen.contains(&format!("\r\nProxy-Authorization: {CREDENTIALS}\r\n")), "{seen}");

        let forwarding = Proxy::start(Script { is_over_tls, ..Script::default() }).await;
        let got = forwarding.get(HTTP, &[("http_proxy", &url)]).await;
        assert_eq!(got, Ok(format!("{HTTP} {CREDENTIALS}")));
    }
}

#[tokio::test]
async fn a_socks_proxy_is_given_the_name_and_the_credentials() {
    let connected = b"\x05\0\0\x03\x01a\0\0";
    for url in ["socks5://localhost:PORT", "socks5h://localhost:PORT"] {
        let messages = vec![(3, &b"\x05\0"[..]), (5 + 13 + 2, connected)];
        let proxy = Proxy::start(Script { messages, ..Script::default() }).await;
        assert_eq!(proxy.get(HTTP, &[("HTTP_PROXY", url)]).await.as_deref(), Ok("/v1 -"));
        assert_eq!(proxy.received(), b"\x05\x01\0\x05\x01\0\x03\x0dvault.invalid\x20\x08");
    }
    let messages = vec![(4, &b"\x05\x02"[..]), (9, b"\x01\0"), (5 + 13 + 2, connected)];
    let proxy = Proxy::start(Script { messages, target_is_over_tls: true, ..Script::default() }).await;
    let got = proxy.get(HTTPS, &[("HTTPS_PROXY", "socks5://us:p%40ss@localhost:PORT")]).await;
    assert_eq!(got.as_deref(), Ok("/v1 -"));
    assert!(proxy.received().starts_with(b"\x05\x02\0\x02\x01\x02us\x04p@ss"));
}

#[tokio::test]
async fn each_refusal_is_told_without_the_credentials() {
    let url = "://us:p%40ss@localhost:PORT";
    let no_proxy = "NO_PROXY lists hosts that need no proxy";
    let check = "Check the user name and password in the proxy's URL";
    let write = "Write SCHEME://USER:PASSWORD@HOST:PORT as the proxy's URL";
    let (http, socks) = ("http", "socks5");
    let with = |scheme: &str| format!("{scheme}{url}");
    let without = |scheme: &str| format!("{scheme}://localhost:PORT");
    let hello = (4, &b"\x05\x02"[..]);
    for (proxy_url, messages, cause, advice) in [
        (
            with(http),
            vec![(0, &b"HTTP/1.1 407 Who? us:p@ss\r\nProxy-Authenticate: Basic\r\n\r\n"[..])],
            "refused the connection to vault.invalid:8200: 407 Proxy Authentication Required",
            check,
        ),
        (
            without(http),
            vec![(0, b"HTTP/1.0 407 Who?\n\n")],
            "refused the connection to vault.invalid:8200: 407 Proxy Authentication Required",
            write,
        ),
        (
            with(http),
            vec![(0, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")],
            "refused the connection to vault.invalid:8200: 403 Forbidden",
            no_proxy,
        ),
        (
            with(http),
            vec![(0, b"HTTP/1.1 502 Bad Gateway\r\n\r\n")],
            "refused the connection to vault.invalid:8200: 502 Bad Gateway",
            no_proxy,
        ),
        (with(http), vec![(0, b"")], "closed the connection without an answer", no_proxy),
        (with(http), vec![(0, b"SSH-2.0-OpenSSH_9.9\r\n")], "does not answer as an HTTP proxy", no_proxy),
        (without(socks), vec![(3, b"\x05\xff")], "accepts no connection without a user name", write),
        (with(socks), vec![(4, b"\x05\xff")], "accepts no connection with this user name", check),
        (with(socks), vec![hello, (9, b"\x01\x01")], "refused the user name and password", check),
        (with(socks), vec![(4, b"HT")], "does not answer as a SOCKS 5 proxy", no_proxy),
        (with(socks), vec![hello, (9, b"")], "closed the connection without an answer", no_proxy),
        (
            with(socks),
            vec![(4, b"\x05\0"), (20, b"\x05\x02\0\x01\0\0\0\0\0\0")],
            "made no connection to vault.invalid:8200: not allowed by its rules",
            no_proxy,
        ),
        (
            with(socks),
            vec![(4, b"\x05\0"), (20, b"\x05\x63\0\x01\0\0\0\0\0\0")],
            "made no connection to vault.invalid:8200: code 99",
            no_proxy,
        ),
    ] {
        let proxy = Proxy::start(Script { messages, ..Script::default() }).await;
        let got = proxy.get(HTTPS, &[("https_proxy", &proxy_url)]).await.unwrap_err();
        let port = proxy.address.port();
        assert_eq!(got, format!("the proxy localhost:{port} (https_proxy) {cause}. {advice}"));
    }
}

#[tokio::test]
async fn a_proxy_that_cannot_be_reached_or_used_is_told() {
    let proxy = Proxy::start(Script::default()).await;
    let error = async |url: &str| proxy.get(HTTPS, &[("HTTPS_PROXY", url)]).await.unwrap_err();
    let refused = error("http://us:p%40ss@127.0.0.1:1").await;
    assert!(refused.starts_with("the proxy 127.0.0.1:1 (HTTPS_PROXY) cannot be reached: "), "{refused}");
    let unknown = error("http://us:p%40ss@proxy.invalid").await;
    assert!(unknown.starts_with("the proxy proxy.invalid:80 (HTTPS_PROXY) cannot be reached: "), "{unknown}");
    let name = error("https://us:p%40ss@127.0.0.1:PORT").await;
    assert!(name.starts_with("the proxy PROXY (HTTPS_PROXY) cannot be reached over TLS: "), "{name}");
    assert_eq!(
        error("http://us:p%40ss@a b").await,
        "HTTPS_PROXY names no proxy: its host has a character that no host has"
    );
    for text in [refused, unknown, name] {
        assert!(!text.contains("us:") && !text.contains("p%40ss") && !text.contains("p@ss"), "{text}");
    }
}

#[tokio::test]
async fn hosts_of_no_proxy_are_reached_directly() {
    let target = Proxy::start(Script::default()).await;
    let other = target.address;
    let url = format!("http://[::ffff:{}]:{}/v1", other.ip(), other.port());
    let got = target.get(&url, &[("HTTP_PROXY", "http://127.0.0.1:1")]).await;
    assert_eq!(got.as_deref(), Ok("/v1 -"), "a loopback address");
}

#[tokio::test]
async fn a_proxy_that_does_not_answer_is_left() {
    let proxy = Proxy::start(Script { messages: vec![(0, HANGS)], ..Script::default() }).await;
    let asked = async {
        while proxy.received().is_empty() {
            tokio::task::yield_now().await;
        }
        // from here on the time limit passes at once
        tokio::time::pause();
    };
    let (got, ()) = tokio::join!(proxy.get(HTTPS, &[("HTTPS_PROXY", "http://localhost:PORT")]), asked);
    let got = got.unwrap_err();
    assert!(got.contains("(HTTPS_PROXY) did not answer within 20 s. NO_PROXY"), "{got}");
}
