//! Classes for reads: from memory where the watch saw no other version since, and from
//! kube-apiserver otherwise.

use std::sync::Arc;
use std::time::Duration;

use coffer_kubernetes::{CallError, call};
use coffer_shares::{Priority, Shares};
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::time::{Instant, timeout_at};

use crate::api_error::ApiError;
use crate::class_map::KnownClass;
use crate::class_watch::ClassWatch;
use crate::secret_provider_class::SecretProviderClass;
use crate::watched_class::{ParsedClass, WatchedClass};

/// Time limit of a request for one class.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Where reads get their classes.
pub(crate) struct ClassSource {
    pub(crate) watch: Arc<ClassWatch>,
    client: Client,
    /// Two classes at a time, and one of a namespace: an object has up to 1.5 MB, and takes more
    /// while it is parsed.
    turns: Shares,
}

/// A class as a read uses it.
pub(crate) struct CurrentClass {
    pub(crate) watched: Arc<WatchedClass>,
    pub(crate) parsed: ParsedClass,
}

impl ClassSource {
    pub(crate) fn new(watch: Arc<ClassWatch>, client: Client) -> Self {
        Self { watch, client, turns: Shares::new(2) }
    }

    /// Returns a class with its parsed parameters.
    ///
    /// # Errors
    /// 404 where there is none, 503 or 504 where kube-apiserver does not answer.
    pub(crate) async fn current(
        &self,
        namespace: &str,
        name: &str,
        deadline: Instant,
    ) -> Result<CurrentClass, ApiError> {
        if let Some(current) = self.in_memory(namespace, name)? {
            return Ok(current);
        }
        let turn = timeout_at(deadline, self.turns.take(namespace, 1, Priority::Common)).await;
        let Ok(Ok(_turn)) = turn else {
            let message =
                format!("waited too long behind other SecretProviderClasses of namespace {namespace:?}");
            return Err(ApiError::waited_too_long(message).about(name));
        };
        // another read of the same class may have brought it
        match self.in_memory(namespace, name)? {
            Some(current) => Ok(current),
            None => self.load(namespace, name).await,
        }
    }

    fn in_memory(&self, namespace: &str, name: &str) -> Result<Option<CurrentClass>, ApiError> {
        let watched = match self.watch.class(namespace, name) {
            KnownClass::Class(watched) => watched,
            KnownClass::None => return Err(no_such_class(namespace, name)),
            KnownClass::Dropped => return Ok(None),
        };
        Ok(self.watch.parsed(&watched).map(|parsed| CurrentClass { watched, parsed }))
    }

    async fn load(&self, namespace: &str, name: &str) -> Result<CurrentClass, ApiError> {
        let api: Api<SecretProviderClass> = Api::namespaced(self.client.clone(), namespace);
        // a list by name, which needs no other right than the watch
        let by_name = ListParams::default().fields(&format!("metadata.name={name}"));
        let list = call(TIME_LIMIT, api.list(&by_name)).await.map_err(|error| unread(&error, name))?;
        let object = list.items.into_iter().next().ok_or_else(|| no_such_class(namespace, name))?;
        let read = self.watch.reader().read(object).await.ok_or_else(|| no_such_class(namespace, name))?;
        self.watch.keep_parsed(&read);
        Ok(CurrentClass { watched: Arc::new(read.watched), parsed: read.parsed })
    }
}

fn unread(error: &CallError, name: &str) -> ApiError {
    let message = format!("the SecretProviderClass could not be read: {error}");
    match error {
        CallError::Refused { .. } | CallError::Unreadable(_) => ApiError::internal(message),
        _ => ApiError::unavailable(message),
    }
    .about(name)
}

pub(crate) fn no_such_class(namespace: &str, name: &str) -> ApiError {
    let message = format!(
        "secrets.custom.secrets.k8s.io {name:?} not found: namespace {namespace:?} has no SecretProviderClass of that \
         name whose provider is Vault"
    );
    ApiError::not_found(message).about(name)
}
