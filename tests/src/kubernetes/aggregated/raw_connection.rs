//! A connection to the API server on which the test writes the bytes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{ApiSetup, HOST};
use crate::http::install_crypto;
use crate::tls::IssuedCertificate;

/// An open TLS connection without requests.
pub struct RawConnection(TlsStream<TcpStream>);

/// Opens TLS connections to the API server.
#[derive(Clone)]
pub struct RawDialer {
    tls: TlsConnector,
    address: SocketAddr,
}

/// The HTTP version of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl ApiSetup {
    /// Opens a connection, with or without a client certificate. It verifies the server as
    /// kube-apiserver does.
    ///
    /// # Panics
    /// If the server refuses the connection.
    pub async fn wire(&self, speaks: HttpVersion, identity: Option<&IssuedCertificate>) -> RawConnection {
        RawConnection(self.dialer(speaks, identity).await.dial().await.expect("a handshake"))
    }

    /// Returns what opens such connections, for many of them.
    ///
    /// # Panics
    /// If there is no certificate of the server yet.
    pub async fn dialer(&self, speaks: HttpVersion, identity: Option<&IssuedCertificate>) -> RawDialer {
        install_crypto();
        let mut roots = RootCertStore::empty();
        let bundle = self.serving_ca().await;
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&bundle).filter_map(Result::ok));
        let config = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match identity {
            Some(IssuedCertificate { certificate, key }) => {
                let certificate =
                    CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                config.with_client_auth_cert(vec![certificate], key).expect("a matching key")
            }
            None => config.with_no_client_auth(),
        };
        let protocol: &[u8] = if speaks == HttpVersion::Http1 { b"http/1.1" } else { b"h2" };
        config.alpn_protocols = vec![protocol.to_vec()];
        let address = SocketAddr::from(([127, 0, 0, 1], self.server.port()));
        RawDialer { tls: TlsConnector::from(Arc::new(config)), address }
    }
}

impl RawDialer {
    /// Opens a connection.
    ///
    /// # Errors
    /// If the server refuses it.
    ///
    /// # Panics
    /// Never: the name is valid.
    pub async fn dial(&self) -> io::Result<TlsStream<TcpStream>> {
        // a small buffer, so that unread bytes soon stay at the server
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(16 << 10)?;
        let stream = socket.connect(self.address).await?;
        self.tls.connect(ServerName::try_from(HOST).expect("a name"), stream).await
    }

    /// Returns the server's address, for connections without TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl RawConnection {
    /// Makes a GET with headers, answered with a body of known length, and returns status and text.
    ///
    /// # Panics
    /// If the server has closed the connection.
    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n").as_bytes()).await;
        let mut answer = String::new();
        loop {
            let mut bytes = [0; 4096];
            let read = self.0.read(&mut bytes).await.expect("an answer");
            assert_ne!(read, 0, "the connection ended in the middle of {answer:?}");
            answer.push_str(std::str::from_utf8(&bytes[..read]).expect("text"));
            if let Some((head, body)) = answer.split_once("\r\n\r\n")
                && body.len() >= content_length(head)
            {
                let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
                return (status.expect("a status"), body.to_owned());
            }
        }
    }

    /// Writes bytes, and ignores a closed connection.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
        let _ = self.0.flush().await;
    }

    /// Returns whether the server has closed the connection, after reading at most `most` bytes.
    pub async fn has_ended(&mut self, most: usize) -> bool {
        let mut bytes = vec![0; most];
        let read = timeout(Duration::from_millis(10), self.0.read(&mut bytes)).await;
        matches!(read, Ok(Ok(0) | Err(_)))
    }
}

fn content_length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next().and_then(|(_, length)| length.parse().ok()).unwrap_or_default()
}
