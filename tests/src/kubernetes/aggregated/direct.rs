//! Around kube-apiserver, straight to the API server.

use std::net::SocketAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use reqwest::{Certificate, Identity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{API_NAMESPACE, AggregatedSite};
use crate::http::install_crypto;
use crate::tls::TestCa;

/// The name that kube-apiserver verifies the API server's certificate for.
const HOST: &str = "coffer-api-server.coffer-api.svc";

/// A client that goes around kube-apiserver.
pub struct Direct {
    client: reqwest::Client,
    address: String,
}

impl Direct {
    /// A request to a path.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        self.client.request(method, format!("{}{path}", self.address))
    }

    /// Where the server listens.
    pub fn socket_address(&self) -> SocketAddr {
        let port = self.address.rsplit(':').next().and_then(|port| port.parse().ok());
        SocketAddr::from(([127, 0, 0, 1], port.expect("a port")))
    }

    /// A GET with headers: status, headers and text.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn get(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (u16, reqwest::header::HeaderMap, String) {
        let request =
            headers.iter().fold(self.request("GET", path), |r, (name, value)| r.header(*name, *value));
        let answer = request.send().await.unwrap_or_else(|e| panic!("no answer from {path}: {e:?}"));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, headers, answer.text().await.expect("a text"))
    }
}

impl AggregatedSite {
    /// An HTTP client that goes around kube-apiserver, with a certificate of that CA or none. It verifies the server
    /// as kube-apiserver does.
    ///
    /// # Panics
    /// When the API server keeps no CA.
    pub async fn direct(&self, authority: Option<(&TestCa, &str)>) -> Direct {
        let builder = self.trusting_client().await;
        let builder = match authority {
            Some((authority, name)) => {
                let issued = authority.issue(name, &[]);
                let pem = format!("{}{}", issued.certificate, issued.key);
                builder.identity(Identity::from_pem(pem.as_bytes()).expect("an identity"))
            }
            None => builder,
        };
        self.direct_by(builder)
    }

    /// The same without a certificate, over HTTP/1.1.
    pub async fn direct_http1(&self) -> Direct {
        self.direct_by(self.trusting_client().await.http1_only())
    }

    /// A TLS connection over which nothing was said yet, with HTTP/2 agreed.
    ///
    /// # Panics
    /// When there is none.
    pub async fn direct_tls(&self) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        let bundle = self.serving_ca().await;
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&bundle).filter_map(Result::ok));
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("a connection");
        let name = ServerName::try_from(HOST).expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
    }

    async fn trusting_client(&self) -> reqwest::ClientBuilder {
        install_crypto();
        reqwest::Client::builder()
            .tls_certs_only(Certificate::from_pem_bundle(&self.serving_ca().await).expect("a bundle"))
            .resolve(HOST, SocketAddr::from(([127, 0, 0, 1], self.port)))
            .no_proxy()
    }

    /// The CAs of the server's certificate, in PEM.
    async fn serving_ca(&self) -> Vec<u8> {
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client().clone(), API_NAMESPACE);
        let secret = secrets.get("coffer-api-server-tls").await.expect("the Secret of the certificate");
        secret.data.expect("data")["ca.crt"].0.clone()
    }

    fn direct_by(&self, builder: reqwest::ClientBuilder) -> Direct {
        Direct {
            client: builder.build().expect("a client"),
            address: format!("https://{HOST}:{}", self.port),
        }
    }
}
