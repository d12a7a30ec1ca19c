//! Watches on objects: a list, and then what changes.

use std::fmt::Debug;
use std::future::ready;

use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use http::StatusCode;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Error, Event, Result, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

/// Watches the objects of `api` until the stream is dropped. A failure is part of the stream, and
/// the watch is tried again with increasing pauses.
///
/// kube-apiserver says with 410 that it does not know any more what happened since the last event:
/// by an event, or as the status of the answer
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>).
/// `watcher` lists the objects again after the event. After the status it would ask for the same
/// for ever, so a new one takes its place.
pub fn list_and_watch<K>(api: Api<K>, config: Config) -> impl Stream<Item = Result<Event<K>>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let begin = move || Box::pin(watcher(api.clone(), config.clone()));
    let first = begin();
    let events = unfold((begin, first), |(begin, mut events)| async move {
        let event = events.next().await?;
        if event.as_ref().is_err_and(is_forgotten) {
            events = begin();
        }
        Some((event, (begin, events)))
    });
    events.default_backoff()
}

/// Watches the objects of `api` as [`list_and_watch`] does, where the last known state stays in use
/// after a failure. A failure is logged with the name `objects`.
pub fn watch_objects<K>(api: Api<K>, config: Config, objects: &'static str) -> impl Stream<Item = Event<K>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    list_and_watch(api, config).filter_map(move |event| {
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

fn is_forgotten(error: &Error) -> bool {
    matches!(error, Error::WatchStartFailed(kube::Error::Api(status)) if status.code == StatusCode::GONE.as_u16())
}
