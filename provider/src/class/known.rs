//! Classes that were parsed before: the same parameters come at every mount of every pod.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::Class;
use super::parameters::DRIVERS_OWN;
use crate::Error;
use crate::digest::{Digest, digest_of_parts};
use crate::settings::Settings;

/// Classes that are kept, and how long their parameters may be, in bytes: what is larger is parsed each time.
const MAX_CLASSES: usize = 256;
const MAX_BYTES: usize = 16 << 10;

/// Parsed classes, by a digest of their parameters.
#[derive(Default)]
pub(crate) struct KnownClasses(Mutex<HashMap<Digest, Arc<Class>>>);

impl KnownClasses {
    /// The class of these parameters, parsed where it is not known.
    ///
    /// # Errors
    /// Those of [`Class::parse`].
    pub(crate) fn class(
        &self,
        parameters: &BTreeMap<String, String>,
        settings: &Settings,
    ) -> Result<Arc<Class>, Error> {
        // the pod's attributes are none of the class's
        let own = || parameters.iter().filter(|(name, _)| !name.starts_with(DRIVERS_OWN));
        if own().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_BYTES {
            return Class::parse(parameters, settings).map(Arc::new);
        }
        let id = id(own());
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(class) = known().get(&id) {
            return Ok(Arc::clone(class));
        }
        let class = Arc::new(Class::parse(parameters, settings)?);
        let mut known = known();
        if known.len() >= MAX_CLASSES {
            known.clear();
        }
        known.insert(id, Arc::clone(&class));
        Ok(class)
    }
}

fn id<'a>(parameters: impl Iterator<Item = (&'a String, &'a String)>) -> Digest {
    digest_of_parts(parameters.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::{KnownClasses, MAX_BYTES, MAX_CLASSES};
    use crate::Settings;

    fn parameters(more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let common = [("roleName", "r"), ("objects", "[{objectName: f, secretPath: secret/data/x}]")];
        common.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_class_is_parsed_once_for_all_its_pods_and_again_when_it_changed() {
        let (known, settings) = (KnownClasses::default(), Settings::default());
        let class = |more: &[(&str, &str)]| known.class(&parameters(more), &settings).expect("a class");
        let first = class(&[("csi.storage.k8s.io/pod.name", "one")]);
        assert!(Arc::ptr_eq(&first, &class(&[("csi.storage.k8s.io/pod.name", "two")])));
        let changed = class(&[("audience", "other")]);
        assert_eq!(changed.audience.as_deref(), Some("other"));
        let mistaken = BTreeMap::from([("roleName".to_owned(), "r".to_owned())]);
        assert!(known.class(&mistaken, &settings).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let (known, settings) = (KnownClasses::default(), Settings::default());
        for n in 0..=MAX_CLASSES {
            known.class(&parameters(&[("audience", &n.to_string())]), &settings).expect("a class");
        }
        let large = parameters(&[("noSuchParameter", &"x".repeat(MAX_BYTES))]);
        let class = || known.class(&large, &settings).expect("a class");
        assert!(!Arc::ptr_eq(&class(), &class()));
        assert_eq!(known.0.lock().expect("no holder panics").len(), 1);
    }
}
