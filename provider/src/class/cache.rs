//! The class cache: parsed classes by their parameters, which are the same for all pods of a class.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coffer_shares::{Priority, Share, Shares};
use coffer_vault::{HeavyTurn, HeavyTurns};

use super::Class;
use super::parameters::DRIVERS_OWN;
use crate::digest::{Digest, digest_of_parts};
use crate::settings::Settings;
use crate::{Error, ErrorKind};

/// Memory of all cached classes, in bytes, which namespaces share.
const ALL_BYTES: usize = 4 << 20;

/// Memory of a parsed object besides its texts, in bytes.
const OBJECT_BYTES: usize = 768;

/// Maximum size of the parameters of a cached class, in bytes. A larger class is parsed each time,
/// on a thread of its own, and one at a time of each namespace.
const MAX_BYTES: usize = 16 << 10;

/// Maximum number of characters in the parameters of a cached class that separate values in YAML.
/// A class with more takes as long as a larger one.
const MAX_SEPARATORS: usize = 2000;

/// Time after which a class that was not used is dropped. Drivers mount again every two minutes.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// Parses classes with the process's settings, and caches the parsed classes.
pub struct ClassCache {
    settings: Arc<Settings>,
    /// The memory of the cached classes.
    bytes: Shares,
    cached: Mutex<HashMap<Digest, CachedClass>>,
}

/// A parsed class, by a digest of its parameters.
struct CachedClass {
    class: Arc<Class>,
    used: Instant,
    bytes: Share,
}

impl ClassCache {
    /// Returns an empty cache for classes with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), bytes: Shares::new(ALL_BYTES), cached: Mutex::default() }
    }

    /// Returns the class of these parameters, from the cache or parsed now. Attributes of the pod
    /// that a driver adds to the parameters make no difference.
    ///
    /// # Errors
    /// Those of [`Class::parse`].
    pub async fn class(
        &self,
        parameters: BTreeMap<String, String>,
        namespace: &str,
        turns: &HeavyTurns,
    ) -> Result<Arc<Class>, Error> {
        let own = || parameters.iter().filter(|(name, _)| !name.starts_with(DRIVERS_OWN));
        let length = own().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let separators =
            |text: &str| text.bytes().filter(|b| matches!(b, b',' | b'[' | b'{' | b'\n')).count();
        if length > MAX_BYTES || own().map(|(_, value)| separators(value)).sum::<usize>() > MAX_SEPARATORS {
            return self.parse_large(parameters, namespace, turns).await;
        }
        let id = digest_of_parts(own().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
        if let Some(cached) = self.lock().get_mut(&id) {
            cached.used = Instant::now();
            return Ok(Arc::clone(&cached.class));
        }
        let class = Arc::new(Class::parse(&parameters, &self.settings)?);
        let sources: usize = class.objects.iter().map(|object| object.source.bytes()).sum();
        let bytes = 2 * length + OBJECT_BYTES * class.objects.len() + sources;
        self.keep(id, &class, bytes, namespace);
        Ok(class)
    }

    /// Parses a large class on a thread of its own, since that takes up to a tenth of a second.
    async fn parse_large(
        &self,
        parameters: BTreeMap<String, String>,
        namespace: &str,
        turns: &HeavyTurns,
    ) -> Result<Arc<Class>, Error> {
        let turn = HeavyTurn::default();
        turn.take(turns, namespace).await;
        let settings = Arc::clone(&self.settings);
        let parsed = tokio::task::spawn_blocking(move || Class::parse(&parameters, &settings)).await;
        let fault = |_| Error::new(ErrorKind::Internal, "a fault while the class was parsed");
        parsed.map_err(fault)?.map(Arc::new)
    }

    /// Caches a class in the namespace's part of the cache. Classes of the namespace make room for
    /// it, the one that was used longest ago first.
    fn keep(&self, id: Digest, class: &Arc<Class>, bytes: usize, namespace: &str) {
        let now = Instant::now();
        let mut cached = self.lock();
        cached.retain(|_, other| now.saturating_duration_since(other.used) < KEPT_FOR);
        loop {
            if let Some(bytes) = self.bytes.try_take(namespace, bytes, Priority::Common) {
                cached.insert(id, CachedClass { class: Arc::clone(class), used: now, bytes });
                return;
            }
            let own = cached.iter().filter(|(_, other)| other.bytes.tenant() == namespace);
            let Some(oldest) = own.min_by_key(|(_, other)| other.used).map(|(id, _)| *id) else { return };
            cached.remove(&oldest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, CachedClass>> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use coffer_vault::HeavyTurns;

    use super::{ClassCache, MAX_BYTES};
    use crate::Settings;
    use crate::class::Class;

    fn parameters(more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let common = [("roleName", "r"), ("objects", "[{objectName: f, secretPath: secret/data/x}]")];
        common.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    async fn class(cache: &ClassCache, namespace: &str, more: &[(&str, &str)]) -> Arc<Class> {
        cache.class(parameters(more), namespace, &HeavyTurns::default()).await.expect("a class")
    }

    #[tokio::test]
    async fn a_class_is_parsed_once_for_all_its_pods_and_again_when_it_changed() {
        let cache = ClassCache::new(Settings::default());
        let first = class(&cache, "ns", &[("csi.storage.k8s.io/pod.name", "one")]).await;
        let other_pod = class(&cache, "ns", &[("csi.storage.k8s.io/pod.name", "two")]).await;
        assert!(Arc::ptr_eq(&first, &other_pod));
        let changed = class(&cache, "ns", &[("audience", "other")]).await;
        assert_eq!(changed.audience.as_deref(), Some("other"));
        let mistaken = BTreeMap::from([("roleName".to_owned(), "r".to_owned())]);
        assert!(cache.class(mistaken, "ns", &HeavyTurns::default()).await.is_err());
    }

    #[tokio::test]
    async fn classes_of_one_namespace_do_not_displace_those_of_another() {
        let cache = ClassCache::new(Settings::default());
        let first = class(&cache, "victim", &[]).await;
        let padding = "x".repeat(MAX_BYTES / 2);
        for n in 0..1000 {
            class(&cache, "greedy", &[("audience", &n.to_string()), ("unknown", &padding)]).await;
        }
        assert!(Arc::ptr_eq(&first, &class(&cache, "victim", &[]).await));
        let cached = cache.lock().len();
        assert!((10..300).contains(&cached), "{cached}");
        let last = class(&cache, "greedy", &[("audience", "999"), ("unknown", &padding)]).await;
        let again = class(&cache, "greedy", &[("audience", "999"), ("unknown", &padding)]).await;
        assert!(Arc::ptr_eq(&last, &again));
    }

    #[tokio::test]
    async fn a_large_class_is_parsed_and_not_cached() {
        let cache = ClassCache::new(Settings::default());
        let padding = "x".repeat(MAX_BYTES);
        let large = [("noSuchParameter", padding.as_str())];
        let (first, second) = (class(&cache, "ns", &large).await, class(&cache, "ns", &large).await);
        assert!(!Arc::ptr_eq(&first, &second) && cache.lock().is_empty());
    }
}
