//! A client, and servers for it.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coffer_connect::{
    Connector, Dialer, HttpClient, HttpClientSettings, HttpFailure, Patience, Sent, SystemResolver,
    TlsSettings,
};
use http::Request;
use http_body_util::Full;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

pub(crate) type Client = HttpClient<Full<Bytes>>;

pub(crate) fn client(tls: Option<TlsSettings>) -> Client {
    let limit = Duration::from_secs(5);
    let connector = Connector::new(Dialer::tcp(Arc::new(SystemResolver), limit), None, tls, limit);
    HttpClient::new(
        connector,
        HttpClientSettings {
            max_idle: 4,
            idle_timeout: Duration::from_secs(60),
            ping_interval: Duration::from_millis(200),
            ping_timeout: Duration::from_millis(300),
        },
    )
}

pub(crate) async fn get(client: &Client, url: &str) -> Result<Sent, HttpFailure> {
    let request = Request::get(url).body(Full::default()).unwrap();
    let patience = Patience { deadline: Instant::now() + Duration::from_secs(30), may_repeat: true };
    client.send(request, patience).await
}

/// Starts a server for each connection: its number, and the stream.
pub(crate) async fn listen<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(usize, tokio::net::TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(number, stream));
        }
    });
    address
}

/// Returns the settings of a server and of its clients.
pub(crate) fn tls(server_name: Option<&'static str>) -> (TlsAcceptor, TlsSettings) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let made = rcgen::generate_simple_self_signed(["vault.internal".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = server_name.map(|name| ServerName::try_from(name).unwrap());
    (TlsAcceptor::from(Arc::new(server)), TlsSettings::new(config, name))
}
