//! The Secret that holds the key of the versions, shared by all nodes.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use ring::rand::{SecureRandom, SystemRandom};

use crate::CALL_TIMEOUT;
use crate::connection::{Kubernetes, call};
use crate::error::CallError;

/// Field of the Secret that holds the key.
const FIELD: &str = "key";

const KEY_BYTES: usize = 32;

/// The key could not be read from its Secret. The texts name the Secret as `NAMESPACE/NAME`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeySecretError {
    #[error("Secret {secret}: {source}")]
    Call { secret: String, source: CallError },
    #[error("Secret {0} has no {FIELD:?}: delete it and it is created again")]
    NoKey(String),
    #[error("Secret {0} cannot be created: the system has no random numbers")]
    NoRandomNumbers(String),
}

impl Kubernetes {
    /// Returns the key in the Secret `name` of this process's namespace. A missing Secret is
    /// created; where several agents create it at once, all use the key of the first.
    ///
    /// # Errors
    /// Says what failed, for a denial in kube-apiserver's words.
    pub(crate) async fn key_secret(&self, name: &str) -> Result<coffer_provider::Secret, KeySecretError> {
        let connection = self
            .connection()
            .await
            .map_err(|error| KeySecretError::Call { secret: name.to_owned(), source: error.into() })?;
        let secret = format!("{}/{name}", connection.namespace);
        let secrets: Api<Secret> = Api::namespaced(connection.client.clone(), &connection.namespace);
        let stored = match call(CALL_TIMEOUT, secrets.get(name)).await {
            Err(error) if error.status() == Some(404) => {
                let new = new_secret(name).ok_or_else(|| KeySecretError::NoRandomNumbers(secret.clone()))?;
                create(&secrets, name, &new).await
            }
            read => read,
        };
        let stored = stored.map_err(|source| KeySecretError::Call { secret: secret.clone(), source })?;
        let key = stored.data.unwrap_or_default().remove(FIELD);
        let key = key.map(|ByteString(bytes)| coffer_provider::Secret::new(bytes));
        key.filter(|key| !key.is_empty()).ok_or(KeySecretError::NoKey(secret))
    }
}

/// Creates the Secret, or returns the one that another agent created meanwhile.
async fn create(secrets: &Api<Secret>, name: &str, new: &Secret) -> Result<Secret, CallError> {
    match call(CALL_TIMEOUT, secrets.create(&PostParams::default(), new)).await {
        Err(error) if error.status() == Some(409) => call(CALL_TIMEOUT, secrets.get(name)).await,
        created => created,
    }
}

fn new_secret(name: &str) -> Option<Secret> {
    let mut key = vec![0; KEY_BYTES];
    SystemRandom::new().fill(&mut key).ok()?;
    Some(Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        immutable: Some(true),
        data: Some(BTreeMap::from([(FIELD.to_owned(), ByteString(key))])),
        ..Secret::default()
    })
}
