//! Watches: a stream of changes that ends, breaks and goes silent.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use tokio::sync::watch as channel;
use tokio::time::{Instant, sleep, sleep_until};
use tower::BoxError;
use url::Url;

use crate::store::{Change, EXPIRED, is_selected};
use crate::{FakeBody, FakeKube, RequestFault, RequestFaultKind};

/// Time between two bookmarks.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);

/// Time after which a client gives up a silent connection.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(90);

/// Time after which the server ends a watch, unless the client asked for another.
const WATCH_TIME: Duration = Duration::from_secs(290);

/// A watch in progress.
struct Watch {
    server: FakeKube,
    changed: channel::Receiver<()>,
    collection: String,
    selector: String,
    /// The resource version up to which events were sent.
    version: usize,
    fault: RequestFault,
    generations: (u64, u64),
    ends: Instant,
    waiting: VecDeque<Value>,
    has_failed: bool,
}

impl FakeKube {
    /// Answers a request for a watch.
    pub(crate) fn watch(&self, url: &Url, fault: RequestFault) -> Response<FakeBody> {
        let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
        let number = |name: &str| parameter(name).and_then(|text| text.parse().ok());
        let version = number("resourceVersion").unwrap_or(1);
        let store = self.store();
        if store.refuses_forgotten && store.has_forgotten(version) {
            return EXPIRED.answer();
        }
        let watch = Watch {
            server: self.clone(),
            changed: self.changed.subscribe(),
            collection: format!("{}/", url.path()),
            selector: parameter("fieldSelector").unwrap_or_default().into_owned(),
            version,
            fault,
            generations: (store.watch_generation, store.silent_generation),
            ends: Instant::now() + WATCH_TIME,
            waiting: VecDeque::new(),
            has_failed: false,
        };
        let frames = unfold(watch, |mut watch| async {
            let sent = watch.next().await?;
            let frame = sent.map(|event| Frame::data(Bytes::from(format!("{event}\n"))));
            Some((frame, watch))
        });
        Response::new(StreamBody::new(frames).boxed_unsync())
    }
}

impl Watch {
    /// Returns the next event; none at the end.
    async fn next(&mut self) -> Option<Result<Value, BoxError>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                sleep(self.fault.after).await;
                return Some(Ok(event));
            }
            let generations = {
                let store = self.server.store();
                (store.watch_generation, store.silent_generation)
            };
            if generations.0 != self.generations.0 || self.has_failed {
                return None;
            }
            if generations.1 != self.generations.1 || self.fault.kind == RequestFaultKind::Silent {
                self.has_failed = true;
                sleep(READ_TIMEOUT).await;
                return Some(Err(io::Error::from(io::ErrorKind::TimedOut).into()));
            }
            if self.collect() {
                continue;
            }
            let bookmark = Instant::now() + BOOKMARK_INTERVAL;
            tokio::select! {
                _ = self.changed.changed() => {}
                () = sleep_until(self.ends) => return None,
                () = sleep_until(bookmark) => self.waiting.push_back(self.bookmark()),
            }
        }
    }

    /// Takes the events of the changes since the last one. Returns whether there are any.
    fn collect(&mut self) -> bool {
        let store = self.server.store();
        match store.changes_since(self.version) {
            Ok(changes) => {
                let selected = changes.iter().filter(|(_, change)| change.path.starts_with(&self.collection));
                self.waiting =
                    selected.filter_map(|(at, change)| event(*at, change, &self.selector)).collect();
                self.version = store.version();
            }
            Err(expired) => {
                self.has_failed = true;
                self.waiting.push_back(json!({"type": "ERROR", "object": expired.status()}));
            }
        }
        !self.waiting.is_empty()
    }

    fn bookmark(&self) -> Value {
        json!({"type": "BOOKMARK", "object": {"kind": "Pod", "apiVersion": "v1",
            "metadata": {"resourceVersion": self.version.to_string()}}})
    }
}

/// Returns what a change is to a watch with this selector.
fn event(version: usize, change: &Change, selector: &str) -> Option<Value> {
    let selected = |object: &Option<Value>| object.as_ref().filter(|o| is_selected(o, selector)).cloned();
    let (kind, mut object) = match (selected(&change.before), selected(&change.after)) {
        (None, None) => return None,
        (None, Some(after)) => ("ADDED", after),
        (Some(_), Some(after)) => ("MODIFIED", after),
        (Some(before), None) => ("DELETED", before),
    };
    object["metadata"]["resourceVersion"] = json!(version.to_string());
    Some(json!({"type": kind, "object": object}))
}
