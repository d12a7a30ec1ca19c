//! The watch on all SecretProviderClasses of the cluster. The classes stay in memory, so that a
//! `get` costs the reads from Vault and nothing else.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use coffer_kubernetes::watch_objects;
use coffer_provider::Settings;
use futures_util::StreamExt;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::secret_provider_class::SecretProviderClass;
use crate::watched_class::WatchedClass;

/// Objects in one page of the first list. They are parsed at once, so this bounds the peak of
/// memory.
const PAGE: u32 = 100;

/// Classes by namespace and name.
type ClassMap = BTreeMap<Box<str>, BTreeMap<Box<str>, Arc<WatchedClass>>>;

/// The SecretProviderClasses of the cluster, as of the last event.
pub(crate) struct ClassWatch {
    classes: RwLock<ClassMap>,
    listed: watch::Sender<bool>,
    providers: Vec<String>,
    settings: Settings,
}

impl ClassWatch {
    pub(crate) fn new(providers: Vec<String>, settings: Settings) -> Self {
        Self { classes: RwLock::default(), listed: watch::Sender::new(false), providers, settings }
    }

    /// Waits for the first complete list, for at most `time`. Returns whether there is one.
    pub(crate) async fn listed(&self, time: Duration) -> bool {
        let mut listed = self.listed.subscribe();
        timeout(time, listed.wait_for(|listed| *listed)).await.is_ok_and(|listed| listed.is_ok())
    }

    /// Returns a class by namespace and name.
    pub(crate) fn class(&self, namespace: &str, name: &str) -> Option<Arc<WatchedClass>> {
        let classes = self.classes.read().unwrap_or_else(PoisonError::into_inner);
        classes.get(namespace)?.get(name).map(Arc::clone)
    }

    /// Returns the classes of one namespace, or of all, sorted by namespace and name.
    pub(crate) fn classes(&self, namespace: Option<&str>) -> Vec<Arc<WatchedClass>> {
        let classes = self.classes.read().unwrap_or_else(PoisonError::into_inner);
        match namespace {
            Some(namespace) => {
                classes.get(namespace).into_iter().flat_map(BTreeMap::values).cloned().collect()
            }
            None => classes.values().flat_map(BTreeMap::values).cloned().collect(),
        }
    }

    /// Follows the classes until the future is dropped.
    pub(crate) async fn follow(&self, client: Client) {
        let api: Api<DeserializeGuard<SecretProviderClass>> = Api::all(client);
        let config = Config::default().page_size(PAGE);
        let mut events = pin!(watch_objects(api, config, "SecretProviderClasses"));
        let mut list = ClassMap::new();
        while let Some(event) = events.next().await {
            self.apply(event, &mut list);
        }
    }

    /// Applies an event. `list` collects a list that is not complete yet.
    fn apply(&self, event: Event<DeserializeGuard<SecretProviderClass>>, list: &mut ClassMap) {
        match event {
            Event::Init => list.clear(),
            Event::InitApply(object) => self.insert(object, list),
            Event::InitDone => {
                *self.classes.write().unwrap_or_else(PoisonError::into_inner) = std::mem::take(list);
                self.listed.send_replace(true);
            }
            Event::Apply(object) => {
                self.insert(object, &mut self.classes.write().unwrap_or_else(PoisonError::into_inner));
            }
            Event::Delete(object) => {
                remove(&object, &mut self.classes.write().unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// Replaces the class of an object; removes it where the object is malformed or another
    /// provider's.
    fn insert(&self, object: DeserializeGuard<SecretProviderClass>, classes: &mut ClassMap) {
        remove(&object, classes);
        match object.0 {
            Ok(object) => {
                if let Some(class) = WatchedClass::new(object, &self.providers, &self.settings) {
                    let by_name = classes.entry(class.namespace.clone()).or_default();
                    by_name.insert(class.name.clone(), Arc::new(class));
                }
            }
            Err(invalid) => tracing::warn!(
                namespace = invalid.metadata.namespace,
                name = invalid.metadata.name,
                "a SecretProviderClass does not have the form of its definition, and is not served"
            ),
        }
    }
}

fn remove(object: &DeserializeGuard<SecretProviderClass>, classes: &mut ClassMap) {
    use kube::Resource;

    let metadata = object.meta();
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    if let Some(by_name) = classes.get_mut(namespace) {
        by_name.remove(metadata.name.as_deref().unwrap_or_default());
        if by_name.is_empty() {
            classes.remove(namespace);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use coffer_provider::Settings;
    use kube::core::DeserializeGuard;
    use kube::runtime::watcher::Event;
    use serde_json::Value;

    use super::ClassWatch;
    use crate::secret_provider_class::SecretProviderClass;
    use crate::watched_class::tests::object;

    fn guarded(object: &Value) -> DeserializeGuard<SecretProviderClass> {
        serde_json::from_value(object.clone()).expect("an object with metadata")
    }

    fn named(name: &str) -> Value {
        let mut object = object();
        object["metadata"]["name"] = name.into();
        object
    }

    #[tokio::test]
    async fn a_new_list_replaces_the_classes_before() {
        let classes = ClassWatch::new(vec!["vault".to_owned()], Settings::default());
        assert!(!classes.listed(std::time::Duration::ZERO).await);
        let mut list = BTreeMap::new();
        let names = || classes.classes(None).iter().map(|class| class.name.to_string()).collect::<Vec<_>>();
        classes.apply(Event::Init, &mut list);
        classes.apply(Event::InitApply(guarded(&named("b"))), &mut list);
        classes.apply(Event::InitApply(guarded(&named("a"))), &mut list);
        assert!(names().is_empty());
        classes.apply(Event::InitDone, &mut list);
        assert!(classes.listed(std::time::Duration::ZERO).await);
        assert_eq!(names(), ["a", "b"]);
        classes.apply(Event::Apply(guarded(&named("c"))), &mut list);
        classes.apply(Event::Delete(guarded(&named("a"))), &mut list);
        assert_eq!(names(), ["b", "c"]);
        classes.apply(Event::Init, &mut list);
        classes.apply(Event::InitApply(guarded(&named("d"))), &mut list);
        classes.apply(Event::InitDone, &mut list);
        assert_eq!(names(), ["d"]);
        assert!(classes.class("ns", "d").is_some() && classes.class("other", "d").is_none());
        assert!(classes.classes(Some("other")).is_empty());
    }

    #[test]
    fn a_class_that_became_another_providers_or_malformed_is_gone() {
        let classes = ClassWatch::new(vec!["vault".to_owned()], Settings::default());
        let mut list = BTreeMap::new();
        let mut other = object();
        other["spec"]["provider"] = "aws".into();
        let mut malformed = object();
        malformed["spec"]["parameters"] = 7.into();
        for gone in [other, malformed] {
            classes.apply(Event::Apply(guarded(&object())), &mut list);
            assert!(classes.class("ns", "db").is_some());
            classes.apply(Event::Apply(guarded(&gone)), &mut list);
            assert!(classes.class("ns", "db").is_none());
        }
    }
}
