//! Around kube-apiserver, straight to the API server.

use std::net::SocketAddr;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use reqwest::{Certificate, Identity};

use super::{API_NAMESPACE, ApiSetup, HOST, Replica};
use crate::http::install_crypto;
use crate::tls::IssuedCertificate;

/// A client that goes around kube-apiserver.
pub struct DirectClient {
    client: reqwest::Client,
    address: String,
}

impl DirectClient {
    /// A request to a path.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        self.client.request(method, format!("{}{path}", self.address))
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
        let answer = self.try_get(path, headers).await;
        answer.unwrap_or_else(|e| panic!("no answer from {path}: {e:?}"))
    }

    /// The same, where there may be no answer.
    ///
    /// # Errors
    /// No connection, or none that can be trusted.
    pub async fn try_get(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(u16, reqwest::header::HeaderMap, String), reqwest::Error> {
        let request =
            headers.iter().fold(self.request("GET", path), |r, (name, value)| r.header(*name, *value));
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok((status, headers, answer.text().await?))
    }
}

impl ApiSetup {
    /// An HTTP client that goes around kube-apiserver, with that client certificate or none. It verifies the server
    /// as kube-apiserver does.
    pub async fn direct(&self, identity: Option<&IssuedCertificate>) -> DirectClient {
        direct(self.server.port(), trusting(&self.serving_ca().await), identity)
    }

    /// The same without a certificate, over HTTP/1.1.
    pub async fn direct_http1(&self) -> DirectClient {
        direct(self.server.port(), trusting(&self.serving_ca().await).http1_only(), None)
    }

    /// The same to another replica, whose certificate is of the authorities in `bundle`. Every request makes a
    /// connection of its own.
    pub fn direct_to(&self, replica: &Replica, bundle: &[u8]) -> DirectClient {
        direct(replica.port(), trusting(bundle).pool_max_idle_per_host(0).http1_only(), None)
    }

    /// The same to kube-apiserver, as any client that is not kubectl.
    pub fn through(&self) -> DirectClient {
        let kube_apiserver = self.cluster.api_server().admin();
        let client = trusting(kube_apiserver.authority.as_bytes()).build().expect("a client");
        DirectClient { client, address: kube_apiserver.server }
    }

    /// The administrator's bearer token, as a header has it.
    pub fn admin(&self) -> String {
        format!("Bearer {}", self.cluster.api_server().admin().token)
    }

    /// The CAs of the server's certificate, in PEM.
    ///
    /// # Panics
    /// When the API server keeps none.
    pub async fn serving_ca(&self) -> Vec<u8> {
        let secret = self.serving_secret().await.expect("the Secret of the certificate");
        secret.data.expect("data")["ca.crt"].0.clone()
    }

    /// The Secret of the server's certificate, where there is one.
    ///
    /// # Panics
    /// When it cannot be read.
    pub async fn serving_secret(&self) -> Option<Secret> {
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client().clone(), API_NAMESPACE);
        secrets.get_opt("coffer-api-server-tls").await.expect("kube-apiserver answers")
    }
}

fn trusting(bundle: &[u8]) -> reqwest::ClientBuilder {
    install_crypto();
    reqwest::Client::builder()
        .tls_certs_only(Certificate::from_pem_bundle(bundle).expect("a bundle"))
        .no_proxy()
}

fn direct(port: u16, builder: reqwest::ClientBuilder, identity: Option<&IssuedCertificate>) -> DirectClient {
    let builder = builder.resolve(HOST, SocketAddr::from(([127, 0, 0, 1], port)));
    let builder = match identity {
        Some(IssuedCertificate { certificate, key }) => {
            let pem = format!("{certificate}{key}");
            builder.identity(Identity::from_pem(pem.as_bytes()).expect("an identity"))
        }
        None => builder,
    };
    DirectClient { client: builder.build().expect("a client"), address: format!("https://{HOST}:{port}") }
}
