//! The watch on all SecretProviderClasses of the cluster. Of each class some hundred bytes stay in
//! memory, and parsed parameters of those that fit into a few MiB.
//!
//! Objects are looked at few at a time: kube-apiserver is asked for pages of four. Where there are
//! many classes, it sends them one by one as events of the watch. Where it cannot do that (an old
//! one, or without the feature WatchList), it is asked for pages all the same.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use coffer_kubernetes::{call, list_and_watch};
use coffer_provider::Settings;
use futures_util::StreamExt;
use kube::api::ListParams;
use kube::runtime::watcher::{self, Config, Event};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::class_map::{ClassMap, KnownClass};
use crate::parsed_classes::ParsedClasses;
use crate::secret_provider_class::SecretProviderClass;
use crate::watched_class::{ParsedClass, ReadClass, WatchedClass};

/// Objects in one page of a list. A page is in memory as a whole, up to three times, and an object
/// has up to 1.5 MB.
const PAGE: u32 = 4;

/// Classes from which on the first list is streamed, since pages would be too many requests.
const MANY: i64 = 200;

/// Bytes of parameters that are parsed at once. Parsing more takes so long that it is done beside
/// the event loop.
const PARSED_AT_ONCE: usize = 32 << 10;

/// Time limit for the number of classes.
const COUNT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time after which a new list is made, if a namespace had too many classes in the last one.
const RELIST_INTERVAL: Duration = Duration::from_secs(1800);

/// The SecretProviderClasses of the cluster, as of the last event.
pub(crate) struct ClassWatch {
    classes: RwLock<ClassMap>,
    parsed: Mutex<ParsedClasses>,
    listed: watch::Sender<bool>,
    reader: Arc<ObjectReader>,
}

/// Parses objects.
pub(crate) struct ObjectReader {
    providers: Vec<String>,
    settings: Settings,
}

/// How the watch gets its first list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FirstList {
    /// As events of the watch.
    Streamed,
    /// In pages.
    Paged,
}

impl FirstList {
    /// Returns the list that suits the number of classes.
    async fn suitable(api: &Api<SecretProviderClass>) -> Self {
        let first = call(COUNT_TIMEOUT, api.list_metadata(&ListParams::default().limit(1))).await;
        // an error is logged by the watch, which meets it too
        let further = first.ok().and_then(|list| list.metadata.remaining_item_count).unwrap_or_default();
        if further > MANY { Self::Streamed } else { Self::Paged }
    }
}

impl ObjectReader {
    /// Parses an object; beside the event loop where it is large. Returns none if it is not ours,
    /// or malformed.
    pub(crate) async fn read(self: &Arc<Self>, object: SecretProviderClass) -> Option<ReadClass> {
        if object.parameters.is_none() {
            tracing::debug!(
                namespace = object.metadata.namespace,
                name = object.metadata.name,
                "a SecretProviderClass does not have the form of its definition, and is not served"
            );
        }
        // another provider's object is dropped here
        let is_ours = object.parameters.is_some() && self.providers.contains(&object.provider);
        let parameters = object.parameters.as_ref().filter(|_| is_ours)?;
        let bytes: usize = parameters.iter().map(|(name, value)| name.len() + value.len()).sum();
        let reader = Arc::clone(self);
        let parse = move || ReadClass::parse(object, &reader.providers, &reader.settings);
        if bytes <= PARSED_AT_ONCE { parse() } else { spawn_blocking(parse).await.ok().flatten() }
    }
}

impl ClassWatch {
    pub(crate) fn new(providers: Vec<String>, settings: Settings) -> Self {
        Self {
            classes: RwLock::default(),
            parsed: Mutex::default(),
            listed: watch::Sender::new(false),
            reader: Arc::new(ObjectReader { providers, settings }),
        }
    }

    /// Waits for the first complete list, for at most `time`. Returns whether there is one.
    pub(crate) async fn listed(&self, time: Duration) -> bool {
        let mut listed = self.listed.subscribe();
        timeout(time, listed.wait_for(|listed| *listed)).await.is_ok_and(|listed| listed.is_ok())
    }

    /// Returns what is known of a class.
    pub(crate) fn class(&self, namespace: &str, name: &str) -> KnownClass {
        self.classes().class(namespace, name)
    }

    /// Returns up to `most` classes that follow a place in the order of namespaces and names.
    pub(crate) fn after(&self, namespace: &str, name: &str, most: usize) -> Vec<Arc<WatchedClass>> {
        self.classes().after(namespace, name, most)
    }

    /// Returns the namespaces that had too many classes.
    pub(crate) fn dropped(&self) -> Vec<String> {
        self.classes().dropped().map(ToOwned::to_owned).collect()
    }

    /// Returns the parsed parameters of a class, if they are in memory.
    pub(crate) fn parsed(&self, class: &WatchedClass) -> Option<ParsedClass> {
        self.parsed_classes().get(class)
    }

    /// Keeps the parsed parameters of a class that is read.
    pub(crate) fn keep_parsed(&self, class: &ReadClass) {
        self.parsed_classes().keep(&class.watched, &class.parsed, class.text_bytes);
    }

    pub(crate) fn reader(&self) -> &Arc<ObjectReader> {
        &self.reader
    }

    /// Follows the classes until the future is dropped.
    pub(crate) async fn follow(&self, client: Client) {
        let api: Api<SecretProviderClass> = Api::all(client);
        loop {
            let list = FirstList::suitable(&api).await;
            tokio::select! {
                () = self.follow_by(list, &api) => self.follow_by(FirstList::Paged, &api).await,
                () = self.wants_relist() => {}
            }
        }
    }

    /// Follows the classes. Returns if kube-apiserver does not know this kind of first list.
    async fn follow_by(&self, list: FirstList, api: &Api<SecretProviderClass>) {
        let config = match list {
            FirstList::Streamed => Config::default().streaming_lists(),
            FirstList::Paged => Config::default().page_size(PAGE),
        };
        let mut events = pin!(list_and_watch(api.clone(), config));
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.apply(event).await,
                Err(error) if list == FirstList::Streamed && refuses_stream(&error) => return,
                Err(error) => tracing::warn!(
                    %error,
                    objects = "SecretProviderClasses",
                    "the watch failed and is tried again; the last known state stays in use"
                ),
            }
        }
    }

    async fn wants_relist(&self) {
        loop {
            sleep(RELIST_INTERVAL).await;
            if self.classes().dropped().next().is_some() {
                return;
            }
        }
    }

    async fn apply(&self, event: Event<SecretProviderClass>) {
        match event {
            Event::Init => self.classes_mut().begin_list(),
            Event::InitApply(object) | Event::Apply(object) => self.insert(object).await,
            Event::InitDone => {
                self.classes_mut().end_list();
                self.listed.send_replace(true);
            }
            Event::Delete(object) => self.remove(&object),
        }
    }

    /// Replaces the class of an object; removes it where the object is malformed or another
    /// provider's.
    pub(crate) async fn insert(&self, object: SecretProviderClass) {
        let names = (object.metadata.namespace.clone(), object.metadata.name.clone());
        let uid = object.metadata.uid.clone();
        if let Some(class) = self.reader.read(object).await {
            self.parsed_classes().keep_if_room(&class.watched, &class.parsed, class.text_bytes);
            self.classes_mut().insert(Arc::new(class.watched));
        } else {
            self.parsed_classes().remove(&uid.unwrap_or_default());
            self.classes_mut().remove(&names.0.unwrap_or_default(), &names.1.unwrap_or_default());
        }
    }

    fn remove(&self, object: &SecretProviderClass) {
        let metadata = &object.metadata;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        self.parsed_classes().remove(&text(&metadata.uid));
        self.classes_mut().remove(&text(&metadata.namespace), &text(&metadata.name));
    }

    fn classes(&self) -> RwLockReadGuard<'_, ClassMap> {
        self.classes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn classes_mut(&self) -> RwLockWriteGuard<'_, ClassMap> {
        self.classes.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn parsed_classes(&self) -> MutexGuard<'_, ParsedClasses> {
        self.parsed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether kube-apiserver refused the parameters of a streamed list, which it does not know
/// or has switched off.
fn refuses_stream(error: &watcher::Error) -> bool {
    matches!(
        error,
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) if matches!(status.code, 400 | 422)
    )
}

#[cfg(test)]
mod tests {
    use coffer_provider::Settings;
    use kube::core::Status;
    use kube::runtime::watcher::{self, Event};
    use serde_json::Value;

    use super::{ClassWatch, refuses_stream};
    use crate::class_map::KnownClass;
    use crate::secret_provider_class::SecretProviderClass;
    use crate::watched_class::tests::object;

    fn watch() -> ClassWatch {
        ClassWatch::new(vec!["vault".to_owned()], Settings::default())
    }

    fn of(object: &Value) -> SecretProviderClass {
        serde_json::from_value(object.clone()).expect("an object with metadata")
    }

    fn named(name: &str) -> SecretProviderClass {
        let mut object = object();
        object["metadata"]["name"] = name.into();
        of(&object)
    }

    fn names(watch: &ClassWatch) -> Vec<String> {
        watch.after("", "", 100).iter().map(|class| class.name.to_string()).collect()
    }

    #[tokio::test]
    async fn a_new_list_replaces_the_classes_before() {
        let classes = watch();
        classes.apply(Event::Init).await;
        for name in ["b", "a"] {
            classes.apply(Event::InitApply(named(name))).await;
        }
        assert!(!classes.listed(std::time::Duration::ZERO).await);
        classes.apply(Event::InitDone).await;
        assert!(classes.listed(std::time::Duration::ZERO).await);
        assert_eq!(names(&classes), ["a", "b"]);
        classes.apply(Event::Apply(named("c"))).await;
        classes.apply(Event::Delete(named("a"))).await;
        assert_eq!(names(&classes), ["b", "c"]);
        classes.apply(Event::Init).await;
        classes.apply(Event::InitApply(named("d"))).await;
        classes.apply(Event::InitDone).await;
        assert_eq!(names(&classes), ["d"]);
        assert!(matches!(classes.class("ns", "d"), KnownClass::Class(_)));
        assert!(matches!(classes.class("other", "d"), KnownClass::None));
    }

    #[tokio::test]
    async fn a_class_that_became_another_providers_or_malformed_is_gone() {
        let classes = watch();
        let mut other = object();
        other["spec"]["provider"] = "aws".into();
        let mut malformed = object();
        malformed["spec"]["parameters"] = 7.into();
        for gone in [other, malformed] {
            classes.apply(Event::Apply(of(&object()))).await;
            let KnownClass::Class(class) = classes.class("ns", "db") else { panic!("no class") };
            assert!(classes.parsed(&class).is_some(), "there was room for it");
            classes.apply(Event::Apply(of(&gone))).await;
            assert!(matches!(classes.class("ns", "db"), KnownClass::None));
            assert!(classes.parsed(&class).is_none());
        }
    }

    #[test]
    fn only_a_refusal_of_the_parameters_leads_to_pages() {
        let failed = |code: u16| {
            let status = Status { code, ..Status::default() };
            watcher::Error::WatchStartFailed(kube::Error::Api(Box::new(status)))
        };
        assert!(refuses_stream(&failed(422)) && refuses_stream(&failed(400)));
        assert!(![401, 403, 404, 410, 429, 500].into_iter().any(|code| refuses_stream(&failed(code))));
    }
}
