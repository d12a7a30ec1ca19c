//! A file's version: a keyed hash, since anyone who may read SecretProviderClassPodStatus sees it.

use std::sync::Arc;

use data_encoding::BASE64URL;
use futures_util::future::BoxFuture;
use ring::hmac;

use crate::Error;

/// The key of the versions.
pub struct Key(hmac::Key);

/// Port: where the key comes from. Nodes must have the same one, or versions differ between them.
pub trait VersionKey: Send + Sync {
    /// The key. For a pod that was not seen before it must not be older than a few seconds; an error's kind
    /// is `NoVersionKey`.
    fn key(&self, pod: PodSeen) -> BoxFuture<'_, Result<Arc<Key>, Error>>;
}

/// Whether the pod was served before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodSeen {
    /// Its first read.
    New,
    /// A later one.
    Before,
}

impl Key {
    /// A key from its bytes, 32 of them with the incumbent.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The version of content that an object says: the incumbent's own formula, for tools restart pods when a
    /// version changes.
    #[must_use]
    pub fn version(&self, fingerprint: &[u8], content: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(fingerprint);
        context.update(content);
        BASE64URL.encode(context.sign().as_ref())
    }
}
