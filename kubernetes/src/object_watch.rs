//! Watches on objects whose last known state stays in use while kube-apiserver is away.

use std::fmt::Debug;
use std::future::ready;

use futures_util::{Stream, StreamExt};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

/// Watches the objects of `api` until the stream is dropped. A failure is logged with the name
/// `objects`, and the watch is tried again with increasing pauses.
pub fn watch_objects<K>(api: Api<K>, config: Config, objects: &'static str) -> impl Stream<Item = Event<K>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    watcher(api, config).default_backoff().filter_map(move |event| {
        let event = event.inspect_err(|error| {
            tracing::warn!(
                %error,
                objects,
                "the watch failed and is tried again; the last known state stays in use"
            );
        });
        ready(event.ok())
    })
}
