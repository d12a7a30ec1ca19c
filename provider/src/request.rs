//! What a door asks for: one read of one class as one identity.

use std::collections::BTreeMap;
use std::sync::Arc;

use coffer_vault::Secret;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::Error;
use crate::class::Class;

/// One read: a SecretProviderClass, and who reads it.
pub struct ReadRequest {
    /// The class, parsed. Where a driver calls, a volume's attributes are laid over its parameters.
    pub class: Arc<Class>,
    /// Who reads.
    pub identity: Identity,
    /// Which of the identity's mounts this is, a pod's volume; empty where there is one only.
    pub volume: String,
    /// Service account tokens sent along, by audience; `""` is the API server's default audience.
    pub tokens: BTreeMap<String, Secret>,
    /// Mode of a file whose object names none.
    pub default_mode: u32,
    /// Whether objects that make Vault issue something are read.
    pub issuing: Issuing,
    /// Contents of all files together, at most, in bytes.
    pub max_bytes: usize,
    /// When the read must have ended, with an answer or an error.
    pub deadline: Instant,
}

/// What a read does about objects that make Vault issue something: credentials, certificates, leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuing {
    /// They are read as all others.
    Allowed,
    /// They are refused, and so is what Vault does not tell about.
    Refused,
}

/// Who reads: a service account, and the pod that it reads for.
///
/// Everything that Vault can tell apart in a service account token is in here, since tokens and answers
/// are kept by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Namespace of pod and service account.
    pub namespace: String,
    /// Name of the service account.
    pub service_account: String,
    /// The pod; none where a service account reads by itself.
    pub pod: Option<Pod>,
}

/// A pod, by name and uid: a new pod of an old name is someone else.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pod {
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`
    pub uid: String,
}

/// Port: mints a service account token where none was sent along
/// (TokenRequest, <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>).
pub trait TokenMinter: Send + Sync {
    /// A token of `identity`'s service account, bound to its pod, for `audience`; without one, for the API
    /// server's default audience. The error's kind is `NoToken` and says what is missing.
    fn mint<'a>(
        &'a self,
        identity: &'a Identity,
        audience: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Secret, Error>>;
}
