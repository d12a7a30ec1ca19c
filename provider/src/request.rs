//! Read requests: what a door asks the read path for.

use std::collections::BTreeMap;
use std::sync::Arc;

use coffer_vault::Secret;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::Error;
use crate::class::Class;

/// A read of one SecretProviderClass by one identity.
pub struct ReadRequest {
    /// The parsed class. In a request of the driver, attributes of the volume override parameters
    /// of the class.
    pub class: Arc<Class>,
    /// The identity that reads.
    pub identity: Identity,
    /// The mount path of the pod's volume; empty if the identity has no volumes.
    pub volume: String,
    /// Service account tokens that the driver sent along, by audience; `""` is the API server's
    /// default audience.
    pub tokens: BTreeMap<String, Secret>,
    /// The mode of files whose object sets no mode.
    pub default_mode: u32,
    /// Whether objects that make Vault issue something are read.
    pub issuing: Issuing,
    /// Maximum size of all files together, in bytes.
    pub max_bytes: usize,
    /// The deadline of the read. The answer or the error comes before.
    pub deadline: Instant,
}

/// Whether a read may make Vault issue something: credentials, certificates, leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuing {
    /// Objects that issue something are read as all others.
    Allowed,
    /// Objects that issue something, or whose engine has an unknown type, are refused.
    Refused,
}

/// The identity that reads: a service account, and the pod that it reads for.
///
/// Tokens and answers are stored by identity. An identity therefore has everything that Vault can
/// distinguish in a service account token.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Namespace of pod and service account.
    pub namespace: String,
    /// Name of the service account.
    pub service_account: String,
    /// The pod; none if a service account reads without a pod.
    pub pod: Option<Pod>,
}

/// A pod by name and uid. A new pod with an old name is another identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pod {
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`
    pub uid: String,
}

/// Port: mints a service account token if the driver sent none, by a TokenRequest.
///
/// <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>
pub trait TokenMinter: Send + Sync {
    /// Returns a token of the identity's service account, bound to the identity's pod, for
    /// `audience`; without an audience, for the API server's default audience.
    ///
    /// # Errors
    /// An error of kind [`NoToken`](crate::ErrorKind::NoToken), which names what is missing.
    fn mint<'a>(
        &'a self,
        identity: &'a Identity,
        audience: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Secret, Error>>;
}
