//! All SecretProviderClasses of the cluster, kept by a watch: a `get` costs Vault's reads and nothing else.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use coffer_provider::Settings;
use futures_util::StreamExt;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::class::HeldClass;
use crate::class_object::SecretProviderClass;

/// How many objects one page of the first list has: what is parsed at once, and so what memory peaks at.
const PAGE: u32 = 100;

type ByName = BTreeMap<Box<str>, Arc<HeldClass>>;

/// The classes, as of the last event.
pub(crate) struct Classes {
    held: RwLock<BTreeMap<Box<str>, ByName>>,
    listed: watch::Sender<bool>,
    providers: Vec<String>,
    settings: Settings,
}

impl Classes {
    pub(crate) fn new(providers: Vec<String>, settings: Settings) -> Self {
        Self { held: RwLock::default(), listed: watch::Sender::new(false), providers, settings }
    }

    /// Waits until all classes were seen once; false where that takes longer than `time`.
    pub(crate) async fn listed(&self, time: Duration) -> bool {
        let mut listed = self.listed.subscribe();
        timeout(time, listed.wait_for(|listed| *listed)).await.is_ok_and(|listed| listed.is_ok())
    }

    pub(crate) fn class(&self, namespace: &str, name: &str) -> Option<Arc<HeldClass>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.get(namespace)?.get(name).map(Arc::clone)
    }

    /// The classes of one namespace or of all, by namespace and name.
    pub(crate) fn of(&self, namespace: Option<&str>) -> Vec<Arc<HeldClass>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        match namespace {
            Some(namespace) => held.get(namespace).into_iter().flat_map(BTreeMap::values).cloned().collect(),
            None => held.values().flat_map(BTreeMap::values).cloned().collect(),
        }
    }

    /// Follows the classes until it is dropped.
    pub(crate) async fn follow(&self, client: Client) {
        let api: Api<DeserializeGuard<SecretProviderClass>> = Api::all(client);
        let config = watcher::Config::default().page_size(PAGE);
        let mut events = pin!(watcher(api, config).default_backoff());
        let mut listing = BTreeMap::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.take(event, &mut listing),
                Err(error) => {
                    tracing::warn!("SecretProviderClasses cannot be watched, trying again: {error}");
                }
            }
        }
    }

    fn take(
        &self,
        event: Event<DeserializeGuard<SecretProviderClass>>,
        listing: &mut BTreeMap<Box<str>, ByName>,
    ) {
        match event {
            Event::Init => listing.clear(),
            Event::InitApply(object) => self.put(object, listing),
            Event::InitDone => {
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = std::mem::take(listing);
                self.listed.send_replace(true);
            }
            Event::Apply(object) => {
                self.put(object, &mut self.held.write().unwrap_or_else(PoisonError::into_inner));
            }
            Event::Delete(object) => {
                remove(&object, &mut self.held.write().unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    fn put(&self, object: DeserializeGuard<SecretProviderClass>, held: &mut BTreeMap<Box<str>, ByName>) {
        remove(&object, held);
        match object.0 {
            Ok(object) => {
                if let Some(class) = HeldClass::new(object, &self.providers, &self.settings) {
                    let names = held.entry(class.namespace.clone()).or_default();
                    names.insert(class.name.clone(), Arc::new(class));
                }
            }
            Err(invalid) => tracing::warn!(
                namespace = invalid.metadata.namespace,
                name = invalid.metadata.name,
                "a SecretProviderClass is not of the form that its definition asks for, and is not served"
            ),
        }
    }
}

fn remove(object: &DeserializeGuard<SecretProviderClass>, held: &mut BTreeMap<Box<str>, ByName>) {
    use kube::Resource;

    let metadata = object.meta();
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    if let Some(names) = held.get_mut(namespace) {
        names.remove(metadata.name.as_deref().unwrap_or_default());
        if names.is_empty() {
            held.remove(namespace);
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

    use super::Classes;
    use crate::class::tests::object;
    use crate::class_object::SecretProviderClass;

    fn guarded(object: &Value) -> DeserializeGuard<SecretProviderClass> {
        serde_json::from_value(object.clone()).expect("an object with metadata")
    }

    fn named(name: &str) -> Value {
        let mut object = object();
        object["metadata"]["name"] = name.into();
        object
    }

    #[tokio::test]
    async fn a_new_list_replaces_what_was_held() {
        let classes = Classes::new(vec!["vault".to_owned()], Settings::default());
        assert!(!classes.listed(std::time::Duration::ZERO).await);
        let mut listing = BTreeMap::new();
        let names = || classes.of(None).iter().map(|class| class.name.to_string()).collect::<Vec<_>>();
        classes.take(Event::Init, &mut listing);
        classes.take(Event::InitApply(guarded(&named("b"))), &mut listing);
        classes.take(Event::InitApply(guarded(&named("a"))), &mut listing);
        assert!(names().is_empty());
        classes.take(Event::InitDone, &mut listing);
        assert!(classes.listed(std::time::Duration::ZERO).await);
        assert_eq!(names(), ["a", "b"]);
        classes.take(Event::Apply(guarded(&named("c"))), &mut listing);
        classes.take(Event::Delete(guarded(&named("a"))), &mut listing);
        assert_eq!(names(), ["b", "c"]);
        classes.take(Event::Init, &mut listing);
        classes.take(Event::InitApply(guarded(&named("d"))), &mut listing);
        classes.take(Event::InitDone, &mut listing);
        assert_eq!(names(), ["d"]);
        assert!(classes.class("ns", "d").is_some() && classes.class("other", "d").is_none());
        assert!(classes.of(Some("other")).is_empty());
    }

    #[test]
    fn a_class_that_became_another_providers_or_malformed_is_gone() {
        let classes = Classes::new(vec!["vault".to_owned()], Settings::default());
        let mut listing = BTreeMap::new();
        let mut other = object();
        other["spec"]["provider"] = "aws".into();
        let mut malformed = object();
        malformed["spec"]["parameters"] = 7.into();
        for gone in [other, malformed] {
            classes.take(Event::Apply(guarded(&object())), &mut listing);
            assert!(classes.class("ns", "db").is_some());
            classes.take(Event::Apply(guarded(&gone)), &mut listing);
            assert!(classes.class("ns", "db").is_none());
        }
    }
}
