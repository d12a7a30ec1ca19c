//! The key of the versions: read once, kept, and looked at again in good time.
//!
//! When someone deletes the Secret the next new pod has to notice, and yet no mount may cost a request: so a mount
//! of a pod that was not seen before reads a key again that is older than a few seconds, and the others have it read
//! in the background now and then.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use coffer_provider::{Error, ErrorKind, Key, PodSeen, Secret, VersionKey};
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::Kubernetes;

/// How old a key may be for a new pod.
const FRESH: Duration = Duration::from_secs(5);

/// How old a key gets before it is read again in the background.
const STALE: Duration = Duration::from_secs(600);

/// How long a mount waits for a newer key while there is one.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the key lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// A Secret of this name in our own namespace, made where it is missing.
    Secret(String),
    /// A file, the same for all who serve the same classes.
    File(PathBuf),
}

/// The key, kept.
pub struct HeldKey {
    shared: Arc<Shared>,
    refresh: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    place: KeyPlace,
    kubernetes: Arc<Kubernetes>,
    held: Mutex<Option<Held>>,
    /// Held over a read of the source, so that many mounts at once make one; the last failure and its time.
    reading: tokio::sync::Mutex<Option<(Instant, String)>>,
}

#[derive(Clone)]
struct Held {
    bytes: Secret,
    key: Arc<Key>,
    read: Instant,
    /// When the source was last asked, with whatever outcome.
    tried: Instant,
}

impl HeldKey {
    /// A key that is read at first use.
    #[must_use]
    pub fn new(place: KeyPlace, kubernetes: Arc<Kubernetes>) -> Self {
        let shared =
            Shared { place, kubernetes, held: Mutex::default(), reading: tokio::sync::Mutex::default() };
        Self { shared: Arc::new(shared), refresh: Mutex::default() }
    }

    /// Seconds since the key was last read; nothing while there is none.
    #[must_use]
    pub fn age_seconds(&self) -> Option<f64> {
        self.shared.held().map(|held| held.read.elapsed().as_secs_f64())
    }

    fn refresh_in_background(&self) {
        let mut refresh = self.refresh.lock().unwrap_or_else(PoisonError::into_inner);
        if refresh.as_ref().is_none_or(JoinHandle::is_finished) {
            let shared = Arc::clone(&self.shared);
            *refresh = Some(tokio::spawn(async move {
                // a failure is logged there, and the held key goes on
                let _ = shared.fresher_than(STALE).await;
            }));
        }
    }
}

impl Drop for HeldKey {
    fn drop(&mut self) {
        if let Some(refresh) = self.refresh.lock().unwrap_or_else(PoisonError::into_inner).take() {
            refresh.abort();
        }
    }
}

impl VersionKey for HeldKey {
    fn key(&self, pod: PodSeen) -> BoxFuture<'_, Result<Arc<Key>, Error>> {
        Box::pin(async move {
            match (pod, self.shared.held()) {
                (PodSeen::Before, Some(held)) => {
                    if held.tried.elapsed() > STALE {
                        self.refresh_in_background();
                    }
                    Ok(held.key)
                }
                _ => self.shared.fresher_than(FRESH).await,
            }
        })
    }
}

impl Shared {
    fn held(&self) -> Option<Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key, read again where the source was last asked longer ago than `age`.
    async fn fresher_than(&self, age: Duration) -> Result<Arc<Key>, Error> {
        let asked = Instant::now();
        let mut failure = self.reading.lock().await;
        let held = self.held();
        if let Some(held) = held.as_ref().filter(|held| held.tried.elapsed() <= age) {
            return Ok(Arc::clone(&held.key));
        }
        if let Some((_, reason)) = failure.as_ref().filter(|(at, _)| *at >= asked) {
            return Err(no_key(reason));
        }
        let read = match &held {
            Some(_) => timeout(PATIENCE, self.read()).await.unwrap_or_else(|_| Err(too_slow())),
            None => self.read().await,
        };
        let now = Instant::now();
        let next = match (read, held) {
            (Ok(bytes), Some(held)) if bytes == held.bytes => Held { read: now, tried: now, ..held },
            (Ok(bytes), before) => {
                if before.is_some() {
                    tracing::warn!("the key of the versions changed: every version changes with it");
                }
                Held { key: Arc::new(Key::new(bytes.expose())), bytes, read: now, tried: now }
            }
            (Err(reason), Some(held)) => {
                tracing::warn!(
                    "the key of the versions cannot be read again, the held one goes on: {reason}"
                );
                Held { tried: now, ..held }
            }
            (Err(reason), None) => {
                let error = no_key(&reason);
                *failure = Some((now, reason));
                return Err(error);
            }
        };
        let key = Arc::clone(&next.key);
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        Ok(key)
    }

    async fn read(&self) -> Result<Secret, String> {
        match &self.place {
            KeyPlace::Secret(name) => self.kubernetes.key_secret(name).await,
            KeyPlace::File(path) => match std::fs::read(path) {
                Ok(bytes) if bytes.is_empty() => Err(format!("{} is empty", path.display())),
                Ok(bytes) => Ok(Secret::new(bytes)),
                Err(error) => Err(format!("{}: {error}", path.display())),
            },
        }
    }
}

fn too_slow() -> String {
    format!("no answer within {} seconds", PATIENCE.as_secs())
}

fn no_key(reason: &str) -> Error {
    Error::new(ErrorKind::NoVersionKey, format!("there is no key for the versions: {reason}"))
        .with_advice("The provider needs \"get\" and \"create\" on this Secret, or -hmac-key-file")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use coffer_provider::{ErrorKind, PodSeen, VersionKey};

    use super::{HeldKey, KeyPlace};

    #[tokio::test]
    async fn a_key_that_was_held_outlives_its_source() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key");
        std::fs::write(&path, [7; 32]).expect("a file");
        let held = HeldKey::new(KeyPlace::File(path.clone()), Arc::default());
        assert_eq!(held.age_seconds(), None);
        let version = |key: &coffer_provider::Key| key.version(b"a", b"b");
        let first = version(&held.key(PodSeen::New).await.expect("a key"));
        std::fs::remove_file(&path).expect("a file");
        for pod in [PodSeen::Before, PodSeen::New] {
            assert_eq!(version(&held.key(pod).await.expect("a key")), first);
        }
        assert!(held.age_seconds().is_some());
    }

    #[tokio::test]
    async fn without_a_key_there_is_no_version() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key");
        let held = HeldKey::new(KeyPlace::File(path.clone()), Arc::default());
        for contents in [None, Some("")] {
            if let Some(contents) = contents {
                std::fs::write(&path, contents).expect("a file");
            }
            let error = held.key(PodSeen::Before).await.err().expect("no key");
            assert_eq!(error.kind, ErrorKind::NoVersionKey);
        }
    }
}
