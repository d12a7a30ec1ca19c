//! A certificate of its own making, kept in a Secret that all replicas share, its CA patched into the APIService.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use data_encoding::BASE64;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use rustls::ServerConfig;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::authority::AuthorityError;
use super::rotation::Certificates;
use super::store;
use crate::api::{GROUP, VERSION};
use crate::kube_error::shown;
use crate::tls::{BadCertificate, server_config};

/// How often Secret and APIService are looked at.
const LOOK: Duration = Duration::from_secs(60);

/// How soon after a failure: no certificate yet, no APIService yet.
const AGAIN: Duration = Duration::from_secs(2);

const CALL: Duration = Duration::from_secs(10);

/// Keeps the certificate.
pub(crate) struct Managed {
    secrets: Api<Secret>,
    api_services: Api<APIService>,
    secret: String,
    /// DNS names of the serving certificate, the one that kube-apiserver verifies first.
    names: Vec<String>,
    last: Certificates,
}

/// Why the certificate could not be looked after.
#[derive(Debug, thiserror::Error)]
enum ManagedError {
    #[error("{what}: {reason}")]
    Call { what: String, reason: String },
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("the Secret holds what cannot be served with: {0}")]
    Unusable(#[from] BadCertificate),
}

impl Managed {
    pub(crate) fn new(client: Client, namespace: &str, secret: String, service: &str) -> Self {
        let name = format!("{service}.{namespace}");
        Self {
            secrets: Api::namespaced(client.clone(), namespace),
            api_services: Api::all(client),
            secret,
            names: vec![format!("{name}.svc"), name.clone(), format!("{name}.svc.cluster.local")],
            last: Certificates::default(),
        }
    }

    /// The first certificate; tries until there is one.
    pub(crate) async fn first(&mut self) -> Arc<ServerConfig> {
        loop {
            match self.look().await {
                Ok(Some(config)) => return config,
                Ok(None) => {}
                Err(error) => tracing::warn!("there is no serving certificate yet: {error}"),
            }
            sleep(AGAIN).await;
        }
    }

    /// Follows Secret and time, and keeps the APIService's CA what it has to be.
    pub(crate) async fn follow(mut self, config: &ArcSwap<ServerConfig>) {
        loop {
            self.announced().await;
            sleep(LOOK).await;
            match self.look().await {
                Ok(Some(new)) => {
                    config.store(new);
                    tracing::info!("the serving certificate was replaced");
                }
                Ok(None) => {}
                Err(error) => tracing::warn!("the serving certificate could not be looked after: {error}"),
            }
        }
    }

    /// Announces the CAs; tries until the APIService is there and takes them, but not past the next look.
    async fn announced(&self) {
        let began = Instant::now();
        let mut said = false;
        while let Err(error) = self.announce().await {
            if !std::mem::replace(&mut said, true) {
                tracing::warn!("the APIService's CA could not be looked after: {error}");
            }
            if began.elapsed() >= LOOK {
                return;
            }
            sleep(AGAIN).await;
        }
    }

    /// Brings the Secret up to date; answers what to serve with where that changed.
    async fn look(&mut self) -> Result<Option<Arc<ServerConfig>>, ManagedError> {
        let found = self.call("reading", self.secrets.get_opt(&self.secret)).await?;
        let stored =
            found.as_ref().and_then(|secret| secret.data.as_ref()).map(store::read).unwrap_or_default();
        let next = stored.next(&self.names, SystemTime::now())?;
        if next != stored {
            self.write(found, &next).await?;
            tracing::info!("Secret {:?} has new certificates", self.secret);
        }
        if next.serving == self.last.serving {
            self.last = next;
            return Ok(None);
        }
        let config = match &next.serving {
            Some(serving) => server_config(serving.certificate.as_bytes(), serving.key.expose())?,
            None => return Ok(None),
        };
        self.last = next;
        Ok(Some(config))
    }

    /// Another replica that was first makes this fail; the next look then finds what it wrote.
    async fn write(&self, found: Option<Secret>, next: &Certificates) -> Result<(), ManagedError> {
        let data = Some(store::write(next));
        match found {
            // it carries the resourceVersion that was read
            Some(secret) => {
                let secret = Secret { data, ..secret };
                self.call("writing", self.secrets.replace(&self.secret, &PostParams::default(), &secret))
                    .await?;
            }
            None => {
                let metadata = ObjectMeta { name: Some(self.secret.clone()), ..ObjectMeta::default() };
                let secret = Secret {
                    metadata,
                    data,
                    type_: Some("kubernetes.io/tls".to_owned()),
                    ..Secret::default()
                };
                self.call("creating", self.secrets.create(&PostParams::default(), &secret)).await?;
            }
        }
        Ok(())
    }

    /// Makes the APIService trust every CA that is kept; verification is never off.
    async fn announce(&self) -> Result<(), ManagedError> {
        let name = format!("{VERSION}.{GROUP}");
        let what = format!("APIService {name}");
        let current = bounded(&what, self.api_services.get(&name)).await?;
        let spec = current.spec.unwrap_or_default();
        let bundle = self.last.bundle();
        let is_current = spec.ca_bundle.is_some_and(|trusted| trusted.0 == bundle.as_bytes());
        if is_current && spec.insecure_skip_tls_verify != Some(true) {
            return Ok(());
        }
        let patch = json!({"spec": {
            "caBundle": BASE64.encode(bundle.as_bytes()),
            "insecureSkipTLSVerify": null,
        }});
        let (patch, parameters) = (Patch::Merge(patch), PatchParams::default());
        bounded(&what, self.api_services.patch(&name, &parameters, &patch)).await?;
        tracing::info!("{what} trusts the CAs of Secret {:?}", self.secret);
        Ok(())
    }

    async fn call<T>(
        &self,
        doing: &str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, ManagedError> {
        bounded(&format!("{doing} Secret {:?}", self.secret), call).await
    }
}

async fn bounded<T>(
    what: &str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ManagedError> {
    let reason = match timeout(CALL, call).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => shown(&error),
        Err(_) => "kube-apiserver did not answer in time".to_owned(),
    };
    Err(ManagedError::Call { what: what.to_owned(), reason })
}
