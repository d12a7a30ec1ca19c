//! A certificate that this server issues itself. It is stored in a Secret that all replicas share,
//! and its CA is written into the APIService.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use coffer_kubernetes::{CALL_TIMEOUT, CallError, KubeConnection, call};
use data_encoding::BASE64;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use rustls::ServerConfig;
use serde_json::json;
use tokio::time::sleep;

use super::rotation::CertificateSet;
use super::store;
use super::x509::X509Error;
use crate::api::{GROUP, VERSION};
use crate::server_tls::{ServerTlsError, server_config};

/// Interval at which Secret and APIService are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// Pause after a failure while there is no certificate or no APIService yet.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Issues, stores and renews the certificate.
pub(crate) struct ManagedCertificate {
    secrets: Api<Secret>,
    api_services: Api<APIService>,
    secret: String,
    /// DNS names of the serving certificate; kube-apiserver verifies the first.
    names: Vec<String>,
    last: CertificateSet,
}

/// The certificate could not be checked or renewed. The texts name the object.
#[derive(Debug, thiserror::Error)]
enum ManagedError {
    #[error("{doing} Secret {secret:?}: {source}")]
    Secret { doing: &'static str, secret: String, source: CallError },
    #[error("APIService {name}: {source}")]
    ApiService { name: String, source: CallError },
    #[error(transparent)]
    X509(#[from] X509Error),
    #[error("the Secret holds a certificate that cannot be used: {0}")]
    Unusable(#[from] ServerTlsError),
}

impl ManagedCertificate {
    pub(crate) fn new(connection: &KubeConnection, secret: String, service: &str) -> Self {
        let KubeConnection { client, namespace } = connection;
        let name = format!("{service}.{namespace}");
        Self {
            secrets: Api::namespaced(client.clone(), namespace),
            api_services: Api::all(client.clone()),
            secret,
            names: vec![format!("{name}.svc"), name.clone(), format!("{name}.svc.cluster.local")],
            last: CertificateSet::default(),
        }
    }

    /// Returns the TLS configuration with the first certificate; tries until there is one.
    pub(crate) async fn first(&mut self) -> Arc<ServerConfig> {
        loop {
            match self.check().await {
                Ok(Some(config)) => return config,
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "there is no serving certificate yet"),
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    /// Renews the certificate and announces its CAs, until the future is dropped.
    pub(crate) async fn follow(mut self, config: &ArcSwap<ServerConfig>) {
        loop {
            self.announce_with_retries().await;
            sleep(CHECK_INTERVAL).await;
            match self.check().await {
                Ok(Some(new)) => {
                    config.store(new);
                    tracing::info!("the serving certificate was replaced");
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "the serving certificate could not be checked"),
            }
        }
    }

    /// Announces the CAs; tries until the APIService exists and has them, but not past the next
    /// check.
    async fn announce_with_retries(&self) {
        let began = Instant::now();
        let mut is_logged = false;
        while let Err(error) = self.announce().await {
            if !std::mem::replace(&mut is_logged, true) {
                tracing::warn!(%error, "the CA of the APIService could not be updated");
            }
            if began.elapsed() >= CHECK_INTERVAL {
                return;
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    /// Brings the Secret up to date, and returns the TLS configuration where the serving
    /// certificate changed.
    async fn check(&mut self) -> Result<Option<Arc<ServerConfig>>, ManagedError> {
        let found = call(CALL_TIMEOUT, self.secrets.get_opt(&self.secret)).await;
        let found = found.map_err(|error| self.secret_error("reading", error))?;
        let stored =
            found.as_ref().and_then(|secret| secret.data.as_ref()).map(store::read).unwrap_or_default();
        let next = stored.next(&self.names, SystemTime::now())?;
        if next != stored {
            self.write(found, &next).await?;
            tracing::info!(secret = self.secret, "the Secret has new certificates");
        }
        let config = match &next.serving {
            Some(serving) if next.serving != self.last.serving => {
                Some(server_config(serving.certificate.as_bytes(), serving.key.expose())?)
            }
            _ => None,
        };
        self.last = next;
        Ok(config)
    }

    /// Writes the Secret. It fails where another replica was first; the next check then finds that
    /// replica's Secret.
    async fn write(&self, found: Option<Secret>, next: &CertificateSet) -> Result<(), ManagedError> {
        let data = Some(store::write(next));
        let post = PostParams::default();
        match found {
            // the object carries the resourceVersion that was read
            Some(secret) => {
                let secret = Secret { data, ..secret };
                let replaced = call(CALL_TIMEOUT, self.secrets.replace(&self.secret, &post, &secret)).await;
                replaced.map_err(|error| self.secret_error("writing", error))?;
            }
            None => {
                let metadata = ObjectMeta { name: Some(self.secret.clone()), ..ObjectMeta::default() };
                let type_ = Some("kubernetes.io/tls".to_owned());
                let secret = Secret { metadata, data, type_, ..Secret::default() };
                let created = call(CALL_TIMEOUT, self.secrets.create(&post, &secret)).await;
                created.map_err(|error| self.secret_error("creating", error))?;
            }
        }
        Ok(())
    }

    fn secret_error(&self, doing: &'static str, source: CallError) -> ManagedError {
        ManagedError::Secret { doing, secret: self.secret.clone(), source }
    }

    /// Makes the APIService trust every CA in the Secret. Verification of certificates is switched
    /// on.
    async fn announce(&self) -> Result<(), ManagedError> {
        let name = format!("{VERSION}.{GROUP}");
        let failed = |source| ManagedError::ApiService { name: name.clone(), source };
        let current = call(CALL_TIMEOUT, self.api_services.get(&name)).await.map_err(failed)?;
        let spec = current.spec.unwrap_or_default();
        let bundle = self.last.bundle();
        let is_current = spec.ca_bundle.is_some_and(|trusted| trusted.0 == bundle.as_bytes());
        if is_current && spec.insecure_skip_tls_verify != Some(true) {
            return Ok(());
        }
        let patch = Patch::Merge(json!({"spec": {
            "caBundle": BASE64.encode(bundle.as_bytes()),
            "insecureSkipTLSVerify": null,
        }}));
        let parameters = PatchParams::default();
        let patched = self.api_services.patch(&name, &parameters, &patch);
        call(CALL_TIMEOUT, patched).await.map_err(failed)?;
        tracing::info!(secret = self.secret, "the APIService trusts the CAs of the Secret");
        Ok(())
    }
}
