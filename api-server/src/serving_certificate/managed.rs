//! A certificate that this server issues itself. It is stored in a Secret that all replicas share,
//! and its CA is written into the APIService.

#[cfg(test)]
mod model;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use coffer_kubernetes::{CALL_TIMEOUT, CallError, KubeConnection, call};
use data_encoding::BASE64;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use rustls::ServerConfig;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::rotation::CertificateSet;
use super::store;
use super::x509::{CertificateAndKey, X509Error};
use crate::api::{GROUP, VERSION};
use crate::server_tls::{ServerTlsError, server_config};

/// Interval at which Secret and APIService are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// Pause after a failure while there is no certificate, and for the first minute of failures.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Issues, stores and renews the certificate.
pub(crate) struct ManagedCertificate {
    secrets: Api<Secret>,
    api_services: Api<APIService>,
    secret: String,
    /// DNS names of the serving certificate; kube-apiserver verifies the first.
    names: Vec<String>,
    clock: WallClock,
    /// What new connections are served with.
    served: Option<CertificateAndKey>,
    /// Whether it was logged that the CAs are not announced.
    is_unannounced_logged: bool,
}

/// Returns the time of day.
type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// What came of a check.
struct Update {
    /// The TLS configuration for new connections, where another certificate is to be served.
    config: Option<Arc<ServerConfig>>,
    /// Whether the APIService trusts every CA of the Secret.
    is_announced: bool,
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
        Self::with_clock(connection, secret, service, Arc::new(SystemTime::now))
    }

    fn with_clock(connection: &KubeConnection, secret: String, service: &str, clock: WallClock) -> Self {
        let KubeConnection { client, namespace } = connection;
        let name = format!("{service}.{namespace}");
        Self {
            secrets: Api::namespaced(client.clone(), namespace),
            api_services: Api::all(client.clone()),
            secret,
            names: vec![format!("{name}.svc"), name.clone(), format!("{name}.svc.cluster.local")],
            clock,
            served: None,
            is_unannounced_logged: false,
        }
    }

    /// Returns the TLS configuration with the first certificate; tries until there is one.
    pub(crate) async fn first(&mut self) -> Arc<ServerConfig> {
        loop {
            match self.update().await {
                Ok(Update { config: Some(config), .. }) => return config,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "there is no serving certificate yet"),
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    /// Renews the certificate and announces its CAs, until the future is dropped.
    pub(crate) async fn follow(mut self, config: &ArcSwap<ServerConfig>) {
        let mut last_success = Instant::now();
        loop {
            let is_done = match self.update().await {
                Ok(update) => {
                    if let Some(new) = update.config {
                        config.store(new);
                        tracing::info!("the serving certificate was replaced");
                    }
                    update.is_announced
                }
                Err(error) => {
                    tracing::warn!(%error, "the serving certificate could not be checked");
                    false
                }
            };
            if is_done {
                last_success = Instant::now();
            }
            let is_new_failure = !is_done && last_success.elapsed() < CHECK_INTERVAL;
            sleep(if is_new_failure { RETRY_PAUSE } else { CHECK_INTERVAL }).await;
        }
    }

    /// Brings Secret and APIService up to date.
    ///
    /// Clients trust the CAs in the APIService, so a certificate is served only when its CA is
    /// there. The APIService is read before the Secret, and changed only if nobody else changed it
    /// since: what another replica announced meanwhile is in the Secret that is read next.
    async fn update(&mut self) -> Result<Update, ManagedError> {
        let service = self.read_service().await;
        let service = self.unless_final(service)?;
        let certificates = self.check().await?;
        let announced = match service {
            Some(service) => {
                let announced = self.announce(service, &certificates).await;
                self.unless_final(announced)?
            }
            None => None,
        };
        self.is_unannounced_logged &= announced.is_none();
        let config = match &certificates.serving {
            Some(serving) if certificates.serving != self.served => {
                Some(server_config(serving.certificate.as_bytes(), serving.key.expose())?)
            }
            _ => None,
        };
        self.served = certificates.serving;
        Ok(Update { config, is_announced: announced.is_some() })
    }

    /// Returns none after a refusal that trying again does not change: without an APIService nobody
    /// verifies the certificate, and without the right to change it somebody else has to.
    fn unless_final<T>(&mut self, result: Result<T, ManagedError>) -> Result<Option<T>, ManagedError> {
        match result {
            Err(error) if error.is_final() => {
                if !std::mem::replace(&mut self.is_unannounced_logged, true) {
                    tracing::warn!(%error, "the CA of the APIService could not be updated");
                }
                Ok(None)
            }
            result => result.map(Some),
        }
    }

    /// Brings the Secret up to date, and returns what it holds.
    async fn check(&self) -> Result<CertificateSet, ManagedError> {
        let found = call(CALL_TIMEOUT, self.secrets.get_opt(&self.secret)).await;
        let found = found.map_err(|error| self.secret_error("reading", error))?;
        let stored =
            found.as_ref().and_then(|secret| secret.data.as_ref()).map(store::read).unwrap_or_default();
        let next = stored.next(&self.names, (self.clock)())?;
        if next != stored {
            self.write(found, &next).await?;
            tracing::info!(secret = self.secret, "the Secret has new certificates");
        }
        Ok(next)
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

    async fn read_service(&self) -> Result<APIService, ManagedError> {
        let name = api_service_name();
        let found = call(CALL_TIMEOUT, self.api_services.get(&name)).await;
        found.map_err(|source| ManagedError::ApiService { name, source })
    }

    /// Makes the APIService trust every CA in the Secret. Verification of certificates is switched
    /// on. It fails where somebody changed the APIService since it was read.
    async fn announce(&self, found: APIService, certificates: &CertificateSet) -> Result<(), ManagedError> {
        let spec = found.spec.unwrap_or_default();
        let trusted = spec.ca_bundle.unwrap_or_default().0;
        let bundle = certificates.announced(&String::from_utf8_lossy(&trusted), (self.clock)());
        if trusted == bundle.as_bytes() && spec.insecure_skip_tls_verify != Some(true) {
            return Ok(());
        }
        let patch = Patch::Merge(json!({
            "metadata": {"resourceVersion": found.metadata.resource_version},
            "spec": {"caBundle": BASE64.encode(bundle.as_bytes()), "insecureSkipTLSVerify": null},
        }));
        let (name, parameters) = (api_service_name(), PatchParams::default());
        let patched = call(CALL_TIMEOUT, self.api_services.patch(&name, &parameters, &patch)).await;
        patched.map_err(|source| ManagedError::ApiService { name, source })?;
        tracing::info!(secret = self.secret, "the APIService trusts the CAs of the Secret");
        Ok(())
    }
}

impl ManagedError {
    /// Returns whether kube-apiserver refused for good what was asked of the APIService.
    fn is_final(&self) -> bool {
        let Self::ApiService { source, .. } = self else { return false };
        source.status().is_some_and(|code| (400..500).contains(&code) && !matches!(code, 409 | 429))
    }
}

fn api_service_name() -> String {
    format!("{VERSION}.{GROUP}")
}
