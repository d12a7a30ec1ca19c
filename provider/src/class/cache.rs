//! The class cache: parsed classes by their parameters, which are the same for all pods of a class.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::Class;
use super::parameters::DRIVERS_OWN;
use crate::Error;
use crate::digest::{Digest, digest_of_parts};
use crate::settings::Settings;

/// Maximum number of cached classes.
const MAX_CLASSES: usize = 256;

/// Maximum size of the parameters of a cached class, in bytes. A larger class is parsed each time.
const MAX_BYTES: usize = 16 << 10;

/// Parses classes with the process's settings, and caches the parsed classes.
pub struct ClassCache {
    settings: Settings,
    /// Parsed classes by a digest of their parameters.
    parsed: Mutex<HashMap<Digest, Arc<Class>>>,
}

impl ClassCache {
    /// Returns an empty cache for classes with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, parsed: Mutex::default() }
    }

    /// Returns the class of these parameters, from the cache or parsed now. Attributes of the pod
    /// that a driver adds to the parameters make no difference.
    ///
    /// # Errors
    /// Those of [`Class::parse`].
    pub fn class(&self, parameters: &BTreeMap<String, String>) -> Result<Arc<Class>, Error> {
        let own = || parameters.iter().filter(|(name, _)| !name.starts_with(DRIVERS_OWN));
        if own().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_BYTES {
            return Class::parse(parameters, &self.settings).map(Arc::new);
        }
        let id = digest_of_parts(own().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
        let parsed = || self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(class) = parsed().get(&id) {
            return Ok(Arc::clone(class));
        }
        let class = Arc::new(Class::parse(parameters, &self.settings)?);
        let mut parsed = parsed();
        if parsed.len() >= MAX_CLASSES {
            parsed.clear();
        }
        parsed.insert(id, Arc::clone(&class));
        Ok(class)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::{ClassCache, MAX_BYTES, MAX_CLASSES};
    use crate::Settings;

    fn parameters(more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let common = [("roleName", "r"), ("objects", "[{objectName: f, secretPath: secret/data/x}]")];
        common.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_class_is_parsed_once_for_all_its_pods_and_again_when_it_changed() {
        let cache = ClassCache::new(Settings::default());
        let class = |more: &[(&str, &str)]| cache.class(&parameters(more)).expect("a class");
        let first = class(&[("csi.storage.k8s.io/pod.name", "one")]);
        assert!(Arc::ptr_eq(&first, &class(&[("csi.storage.k8s.io/pod.name", "two")])));
        let changed = class(&[("audience", "other")]);
        assert_eq!(changed.audience.as_deref(), Some("other"));
        let mistaken = BTreeMap::from([("roleName".to_owned(), "r".to_owned())]);
        assert!(cache.class(&mistaken).is_err());
    }

    #[test]
    fn the_cache_is_bounded_in_classes_and_bytes() {
        let cache = ClassCache::new(Settings::default());
        for n in 0..=MAX_CLASSES {
            cache.class(&parameters(&[("audience", &n.to_string())])).expect("a class");
        }
        let large = parameters(&[("noSuchParameter", &"x".repeat(MAX_BYTES))]);
        let class = || cache.class(&large).expect("a class");
        assert!(!Arc::ptr_eq(&class(), &class()));
        assert_eq!(cache.parsed.lock().expect("no holder panics").len(), 1);
    }
}
