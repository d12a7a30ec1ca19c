//! The Secret that holds the key of the versions, shared by all nodes.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use ring::rand::{SecureRandom, SystemRandom};

use super::{CallError, Kubernetes, call};

/// The field of the Secret that holds the key.
const FIELD: &str = "key";

const KEY_BYTES: usize = 32;

impl Kubernetes {
    /// The key in the Secret `name` of our own namespace. A Secret that is missing is made; of providers that race,
    /// the first one's key counts for all.
    ///
    /// # Errors
    /// What failed, and for a denial which right is missing.
    pub(crate) async fn key_secret(&self, name: &str) -> Result<coffer_provider::Secret, String> {
        let what = match self.connected().await {
            Ok(connected) => format!("Secret {}/{name}", connected.namespace),
            Err(_) => format!("Secret {name}"),
        };
        let secret = self.read_or_create(name).await.map_err(|error| format!("{what}: {error}"))?;
        let key = secret
            .data
            .unwrap_or_default()
            .remove(FIELD)
            .map(|ByteString(bytes)| coffer_provider::Secret::new(bytes));
        key.filter(|key| !key.is_empty())
            .ok_or_else(|| format!("{what} has no {FIELD:?}: delete it and it is made anew"))
    }

    async fn read_or_create(&self, name: &str) -> Result<Secret, CallError> {
        let connected = self.connected().await?;
        let secrets: Api<Secret> = Api::namespaced(connected.client.clone(), &connected.namespace);
        match call(secrets.get(name)).await {
            Err(error) if error.is_code(404) => {}
            read => return read,
        }
        match call(secrets.create(&PostParams::default(), &new_secret(name)?)).await {
            Err(error) if error.is_code(409) => call(secrets.get(name)).await,
            created => created,
        }
    }
}

fn new_secret(name: &str) -> Result<Secret, CallError> {
    let mut key = vec![0; KEY_BYTES];
    let random = SystemRandom::new().fill(&mut key);
    random.map_err(|_| CallError::NotConnected("the system has no random numbers".to_owned()))?;
    Ok(Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        immutable: Some(true),
        data: Some(BTreeMap::from([(FIELD.to_owned(), ByteString(key))])),
        ..Secret::default()
    })
}
