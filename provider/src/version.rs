//! Versions of files: a keyed hash, since everybody who may read SecretProviderClassPodStatus sees
//! the version.

use std::sync::Arc;

use data_encoding::BASE64URL;
use futures_util::future::BoxFuture;
use ring::hmac;

use crate::Error;

/// The key of the versions.
pub struct Key(hmac::Key);

/// Port: provides the key of the versions. All nodes must have the same key, or versions differ
/// between nodes.
pub trait VersionKey: Send + Sync {
    /// Returns the key. For a new pod, the key must have been read a few seconds ago at most.
    ///
    /// # Errors
    /// An error of kind [`NoVersionKey`](crate::ErrorKind::NoVersionKey).
    fn key(&self, pod: PodSeen) -> BoxFuture<'_, Result<Arc<Key>, Error>>;
}

/// Whether a read of the pod succeeded before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodSeen {
    /// No read succeeded yet in this process.
    New,
    /// A read succeeded.
    Before,
}

impl Key {
    /// Returns a key with these bytes. The incumbent's key has 32 bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Returns the version of a file, by the incumbent's formula: tools restart pods when a version
    /// changes.
    ///
    /// `fingerprint` is that of the object, `content` the part of the file that counts.
    #[must_use]
    pub fn version(&self, fingerprint: &[u8], content: &[u8]) -> String {
        self.sign(&[fingerprint, content])
    }

    /// Returns the version of a file that an object makes of one of several keys. The path tells the
    /// files of one object apart.
    #[must_use]
    pub(crate) fn version_of_key_file(&self, fingerprint: &[u8], path: &str, content: &[u8]) -> String {
        // the length makes "ab" + "c" differ from "a" + "bc"
        self.sign(&[fingerprint, &path.len().to_be_bytes(), path.as_bytes(), content])
    }

    fn sign(&self, parts: &[&[u8]]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| context.update(part));
        BASE64URL.encode(context.sign().as_ref())
    }
}
