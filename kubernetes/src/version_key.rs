//! The key of the versions, read from its source and cached.
//!
//! A deleted Secret must be noticed by the next new pod, and yet a mount must rarely cost a
//! request. So a mount of a new pod reads the key again where the cached one is older than 5
//! seconds. All other mounts use the cached key, which is read again in the background every 10
//! minutes.

#[cfg(test)]
mod model;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coffer_provider::{Error, ErrorKind, Key, PodSeen, Secret, VersionKey};
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::Kubernetes;
use crate::key_secret::KeySecretError;

/// Greatest age of the key for a mount of a new pod.
const MAX_AGE_FOR_NEW_POD: Duration = Duration::from_secs(5);

/// Age at which the key is read again in the background.
const REFRESH_AGE: Duration = Duration::from_secs(600);

/// Time limit for reading the key again, while there is a cached one to fall back on.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the key of the versions is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A Secret of this name in the process's own namespace, created where it is missing.
    Secret(String),
    /// A file. All servers of the same classes need the same content.
    File(PathBuf),
}

/// The key of the versions, cached in memory.
pub struct CachedVersionKey {
    reader: Arc<KeyReader>,
    refresh: Mutex<Option<JoinHandle<()>>>,
}

struct KeyReader {
    source: KeySource,
    kubernetes: Arc<Kubernetes>,
    cached: Mutex<Option<CachedKey>>,
    /// Held while the source is read, so that many mounts at once cause one read. Holds time and
    /// text of the last failure.
    reading: tokio::sync::Mutex<Option<(Instant, String)>>,
}

#[derive(Clone)]
struct CachedKey {
    bytes: Secret,
    key: Arc<Key>,
    /// When the source was last read with success.
    read: Instant,
    /// When the source was last asked, with or without success.
    tried: Instant,
}

/// The key cannot be read from its source.
#[derive(Debug, thiserror::Error)]
enum KeyReadError {
    #[error(transparent)]
    Secret(#[from] KeySecretError),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is empty", .0.display())]
    EmptyFile(PathBuf),
    #[error("no answer within {} seconds", REFRESH_TIMEOUT.as_secs())]
    TimedOut,
}

impl CachedVersionKey {
    /// Returns a cache without a key, which is read at first use.
    #[must_use]
    pub fn new(source: KeySource, kubernetes: Arc<Kubernetes>) -> Self {
        let reader = KeyReader {
            source,
            kubernetes,
            cached: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        };
        Self { reader: Arc::new(reader), refresh: Mutex::default() }
    }

    /// Returns the seconds since the key was last read; `None` while there is no key.
    #[must_use]
    pub fn age_seconds(&self) -> Option<f64> {
        self.reader.cached().map(|cached| cached.read.elapsed().as_secs_f64())
    }

    fn refresh_in_background(&self) {
        let mut refresh = self.refresh.lock().unwrap_or_else(PoisonError::into_inner);
        if refresh.as_ref().is_none_or(JoinHandle::is_finished) {
            let reader = Arc::clone(&self.reader);
            *refresh = Some(tokio::spawn(async move {
                // the reader logs a failure, and the cached key stays in use
                let _ = reader.key_not_older_than(REFRESH_AGE).await;
            }));
        }
    }
}

impl Drop for CachedVersionKey {
    fn drop(&mut self) {
        if let Some(refresh) = self.refresh.lock().unwrap_or_else(PoisonError::into_inner).take() {
            refresh.abort();
        }
    }
}

impl VersionKey for CachedVersionKey {
    fn key(&self, pod: PodSeen) -> BoxFuture<'_, Result<Arc<Key>, Error>> {
        Box::pin(async move {
            match (pod, self.reader.cached()) {
                (PodSeen::Before, Some(cached)) => {
                    if cached.tried.elapsed() > REFRESH_AGE {
                        self.refresh_in_background();
                    }
                    Ok(cached.key)
                }
                _ => self.reader.key_not_older_than(MAX_AGE_FOR_NEW_POD).await,
            }
        })
    }
}

impl KeyReader {
    fn cached(&self) -> Option<CachedKey> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the key, read again where the source was last asked longer ago than `age`.
    async fn key_not_older_than(&self, age: Duration) -> Result<Arc<Key>, Error> {
        let asked = Instant::now();
        let mut failure = self.reading.lock().await;
        let cached = self.cached();
        if let Some(cached) = cached.as_ref().filter(|cached| cached.tried.elapsed() <= age) {
            return Ok(Arc::clone(&cached.key));
        }
        // another mount has just read the source, while this one waited for the lock
        if let Some((_, reason)) = failure.as_ref().filter(|(at, _)| *at >= asked) {
            return Err(no_key(reason));
        }
        let read = match &cached {
            Some(_) => timeout(REFRESH_TIMEOUT, self.read()).await.unwrap_or(Err(KeyReadError::TimedOut)),
            None => self.read().await,
        };
        let next = match next_key(read, cached) {
            Ok(next) => next,
            Err(error) => {
                let reason = error.to_string();
                let error = no_key(&reason);
                *failure = Some((Instant::now(), reason));
                return Err(error);
            }
        };
        let key = Arc::clone(&next.key);
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        Ok(key)
    }

    async fn read(&self) -> Result<Secret, KeyReadError> {
        match &self.source {
            KeySource::Secret(name) => Ok(self.kubernetes.key_secret(name).await?),
            KeySource::File(path) => match std::fs::read(path) {
                Ok(bytes) if bytes.is_empty() => Err(KeyReadError::EmptyFile(path.clone())),
                Ok(bytes) => Ok(Secret::new(bytes)),
                Err(source) => Err(KeyReadError::File { path: path.clone(), source }),
            },
        }
    }
}

/// Returns the key to cache after a read. A failed read leaves the cached key in use, where there
/// is one.
fn next_key(
    read: Result<Secret, KeyReadError>,
    cached: Option<CachedKey>,
) -> Result<CachedKey, KeyReadError> {
    let now = Instant::now();
    match (read, cached) {
        (Ok(bytes), Some(cached)) if bytes == cached.bytes => {
            Ok(CachedKey { read: now, tried: now, ..cached })
        }
        (Ok(bytes), before) => {
            if before.is_some() {
                tracing::warn!("the key of the versions changed: every version changes with it");
            }
            Ok(CachedKey { key: Arc::new(Key::new(bytes.expose())), bytes, read: now, tried: now })
        }
        (Err(error), Some(cached)) => {
            tracing::warn!(
                %error,
                "the key of the versions cannot be read again; the cached key stays in use"
            );
            Ok(CachedKey { tried: now, ..cached })
        }
        (Err(error), None) => Err(error),
    }
}

fn no_key(reason: &str) -> Error {
    Error::new(ErrorKind::NoVersionKey, format!("there is no key for the versions: {reason}"))
        .with_advice("The provider needs \"get\" and \"create\" on this Secret, or -hmac-key-file")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use coffer_provider::{ErrorKind, PodSeen, VersionKey};

    use super::{CachedVersionKey, KeySource};

    #[tokio::test]
    async fn a_cached_key_outlives_its_source() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key");
        std::fs::write(&path, [7; 32]).expect("a file");
        let cached = CachedVersionKey::new(KeySource::File(path.clone()), Arc::default());
        assert_eq!(cached.age_seconds(), None);
        let version = |key: &coffer_provider::Key| key.version(b"a", b"b");
        let first = version(&cached.key(PodSeen::New).await.expect("a key"));
        std::fs::remove_file(&path).expect("a file");
        for pod in [PodSeen::Before, PodSeen::New] {
            assert_eq!(version(&cached.key(pod).await.expect("a key")), first);
        }
        assert!(cached.age_seconds().is_some());
    }

    #[tokio::test]
    async fn without_a_key_there_is_no_version() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key");
        let cached = CachedVersionKey::new(KeySource::File(path.clone()), Arc::default());
        for contents in [None, Some("")] {
            if let Some(contents) = contents {
                std::fs::write(&path, contents).expect("a file");
            }
            let error = cached.key(PodSeen::Before).await.err().expect("no key");
            assert_eq!(error.kind, ErrorKind::NoVersionKey);
        }
    }
}
