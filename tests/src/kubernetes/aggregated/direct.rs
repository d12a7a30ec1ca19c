//! Requests to the API server that do not pass kube-apiserver.

use std::net::SocketAddr;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use reqwest::{Certificate, Identity};

use super::{API_NAMESPACE, ApiSetup, HOST, Replica};
use crate::http::install_crypto;
use crate::tls::IssuedCertificate;

/// A client that does not pass kube-apiserver.
pub struct DirectClient {
    client: reqwest::Client,
    address: String,
}

impl DirectClient {
    /// Returns a request to a path.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        self.client.request(method, format!("{}{path}", self.address))
    }

    /// Makes a GET with headers, and returns status, headers and text.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn get(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (u16, reqwest::header::HeaderMap, String) {
        let answer = self.try_get(path, headers).await;
        answer.unwrap_or_else(|e| panic!("no answer from {path}: {e:?}"))
    }

    /// Makes a GET with headers, for a server that may not answer.
    ///
    /// # Errors
    /// If there is no connection, or none that can be trusted.
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
    /// Returns an HTTP client that does not pass kube-apiserver, with or without a client
    /// certificate. It verifies the server as kube-apiserver does.
    pub async fn direct(&self, identity: Option<&IssuedCertificate>) -> DirectClient {
        direct(self.server.port(), trusting(&self.serving_ca().await), identity)
    }

    /// Returns a client without a certificate, over HTTP/1.1.
    pub async fn direct_http1(&self) -> DirectClient {
        direct(self.server.port(), trusting(&self.serving_ca().await).http1_only(), None)
    }

    /// Returns a client of another replica, whose certificate is from the CAs in `bundle`. Every
    /// request opens a connection.
    pub fn direct_to(&self, replica: &Replica, bundle: &[u8]) -> DirectClient {
        direct(replica.port(), trusting(bundle).pool_max_idle_per_host(0).http1_only(), None)
    }

    /// Returns a client of kube-apiserver, as any client other than kubectl.
    pub fn through(&self) -> DirectClient {
        let kube_apiserver = self.cluster.api_server().admin();
        let client = trusting(kube_apiserver.authority.as_bytes()).build().expect("a client");
        DirectClient { client, address: kube_apiserver.server }
    }

    /// Returns the administrator's `Authorization` header.
    pub fn admin(&self) -> String {
        format!("Bearer {}", self.cluster.api_server().admin().token)
    }

    /// Returns the CAs of the server's certificate, in PEM.
    ///
    /// # Panics
    /// If there is no Secret with the certificate.
    pub async fn serving_ca(&self) -> Vec<u8> {
        let secret = self.serving_secret().await.expect("the Secret of the certificate");
        secret.data.expect("data")["ca.crt"].0.clone()
    }

    /// Returns the Secret with the server's certificate, if there is one.
    ///
    /// # Panics
    /// If the Secret cannot be read.
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
