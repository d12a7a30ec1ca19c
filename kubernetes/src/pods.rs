//! The pods of one node, watched: when one is gone, what was issued to it can be revoked.

use std::collections::HashSet;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_provider::{PodEvent, PodEvents, root_cause};
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::own_pod::own_pod;
use crate::{client, config};

/// Events that wait for the keeper; the watch waits where there are more.
const WAITING: usize = 64;

/// How long after a refusal the pods are listed again.
const AFTER_REFUSAL: Duration = Duration::from_secs(20);

/// How long a watch may be silent before its connection is taken for dead. kube-apiserver sends a bookmark every minute, or
/// up to a quarter later.
const SILENCE: Duration = Duration::from_secs(90);

/// How long after that another connection is made.
const AFTER_SILENCE: Duration = Duration::from_secs(2);

/// How long refusals in a row count for nothing, after a list that was believed and before the first: kube-apiserver refuses
/// for a while when it starts, before it knows the roles, and the next list tells what happened meanwhile.
const FAITH: Duration = Duration::from_secs(300);
const FIRST_FAITH: Duration = Duration::from_secs(30);

/// The pods of a node that have not finished, watched until this is dropped.
pub struct PodWatch(JoinHandle<()>);

impl PodWatch {
    /// Watches the pods of `node` through kube-apiserver, whose absence it outlasts.
    ///
    /// Finished pods leave the selection, which the watch tells as a deletion
    /// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/>), so their metadata suffices.
    #[must_use]
    pub fn start(node: &str) -> (Self, PodEvents) {
        let (sender, events) = mpsc::channel(WAITING);
        let list = Arc::new(Notify::new());
        let follower = Follower {
            node: node.to_owned(),
            events: sender,
            faith: Faith::at_first(),
            failing: None,
            lists_only: false,
        };
        let watch = tokio::spawn(follower.follow(Arc::clone(&list)));
        (Self(watch), PodEvents { events, list })
    }
}

impl Drop for PodWatch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why a watch was given up. The next one begins with a list, and so tells what happened meanwhile.
enum Ended {
    /// Nobody listens any more.
    Unheard,
    /// kube-apiserver refuses, or tells of another node, and how.
    Useless(String),
    /// The connection is dead.
    Silent,
    /// A list was asked for.
    Asked,
}

/// Tells of a node's pods.
struct Follower {
    node: String,
    events: mpsc::Sender<PodEvent>,
    faith: Faith,
    /// Why the watch fails, as it was said last.
    failing: Option<String>,
    /// Whether kube-apiserver let us list, and not watch.
    lists_only: bool,
}

/// A client, and whose it is.
struct Watcher {
    api: Api<PartialObjectMeta<Pod>>,
    /// The uid of this process's own pod, where it is one.
    own_pod: Option<String>,
}

impl Watcher {
    /// Connects by a client of its own: a watch is silent for longer than any other call may take.
    async fn connect() -> Result<Self, String> {
        let config = config(SILENCE).await.map_err(|error| error.to_string())?;
        let own_pod = own_pod(&config).await?;
        let client = client(config).map_err(|error| error.to_string())?;
        Ok(Self { api: Api::all(client), own_pod })
    }

    /// A list is believed where it has our own pod, or, outside of pods, any.
    fn believes(&self, pods: &HashSet<String>) -> bool {
        self.own_pod.as_ref().map_or(!pods.is_empty(), |own| pods.contains(own))
    }
}

impl Follower {
    async fn follow(mut self, list: Arc<Notify>) {
        loop {
            let watcher = match Watcher::connect().await {
                Ok(watcher) => watcher,
                Err(reason) => {
                    self.doubt(reason).await;
                    sleep(AFTER_REFUSAL).await;
                    continue;
                }
            };
            match self.follow_once(&watcher, &list).await {
                Ended::Unheard => return,
                Ended::Useless(reason) => {
                    self.doubt(reason).await;
                    sleep(AFTER_REFUSAL).await;
                }
                Ended::Silent => sleep(AFTER_SILENCE).await,
                Ended::Asked => {}
            }
        }
    }

    async fn follow_once(&mut self, watcher: &Watcher, list: &Notify) -> Ended {
        let selector = format!("spec.nodeName={},status.phase!=Succeeded,status.phase!=Failed", self.node);
        let config = watcher::Config::default().fields(&selector);
        let mut watched = pin!(watcher::watcher(watcher.api.clone(), config).default_backoff());
        let mut listing = HashSet::new();
        let mut began = Instant::now();
        let mut is_listed = false;
        loop {
            let event = tokio::select! {
                event = watched.next() => event,
                // one that is under way is not begun anew
                () = list.notified(), if is_listed => return Ended::Asked,
            };
            let Some(event) = event else { return Ended::Unheard };
            let event = match event {
                Ok(Event::Init) => {
                    is_listed = false;
                    listing.clear();
                    began = Instant::now();
                    continue;
                }
                Ok(Event::InitApply(pod)) => {
                    listing.extend(uid(pod));
                    continue;
                }
                Ok(Event::InitDone) if !watcher.believes(&listing) => {
                    return Ended::Useless(format!(
                        "coffer-csi's own pod is not among those of the node {:?}: take NODE_NAME from spec.nodeName",
                        self.node
                    ));
                }
                Ok(Event::InitDone) => {
                    is_listed = true;
                    self.faith = Faith::restored();
                    Some(PodEvent::Listed(std::mem::take(&mut listing), began))
                }
                Ok(Event::Apply(pod)) => uid(pod).map(PodEvent::Appeared),
                Ok(Event::Delete(pod)) => uid(pod).map(PodEvent::Gone),
                Err(error) => {
                    if let Some(ended) = self.failed(&error) {
                        return ended;
                    }
                    continue;
                }
            };
            self.lists_only &= matches!(event, Some(PodEvent::Listed(..)));
            if !self.lists_only && self.failing.take().is_some() {
                tracing::info!("the node's pods are watched again");
            }
            let Some(event) = event else { continue };
            if self.events.send(event).await.is_err() {
                return Ended::Unheard;
            }
        }
    }

    /// Says why the watch fails, once; the answer is whether it has to begin anew.
    fn failed(&mut self, error: &watcher::Error) -> Option<Ended> {
        if let Some(refusal) = refusal(error) {
            self.lists_only = matches!(error, watcher::Error::WatchStartFailed(_));
            return Some(Ended::Useless(refusal));
        }
        self.warn_once(root_cause(error));
        is_timeout(error).then_some(Ended::Silent)
    }

    fn warn_once(&mut self, reason: String) {
        if self.failing.as_ref() != Some(&reason) {
            tracing::warn!("the node's pods cannot be watched, trying again: {reason}");
            self.failing = Some(reason);
        }
    }

    /// Tells that the end of a pod would not be noticed, unless the next list may still do so in time.
    async fn doubt(&mut self, reason: String) {
        if self.faith.lasts(Instant::now()) {
            return self.warn_once(reason);
        }
        // who does not listen any more is found out by the next event
        let _ = self.events.send(PodEvent::Unwatchable(reason)).await;
    }
}

/// For how long refusals count for nothing.
struct Faith {
    /// As long as this, in a row.
    length: Duration,
    /// When the first of them came.
    refused: Option<Instant>,
}

impl Faith {
    fn at_first() -> Self {
        Self { length: FIRST_FAITH, refused: None }
    }

    /// After a list that was believed.
    fn restored() -> Self {
        Self { length: FAITH, refused: None }
    }

    /// Whether a refusal that comes now counts for nothing.
    fn lasts(&mut self, now: Instant) -> bool {
        now.duration_since(*self.refused.get_or_insert(now)) < self.length
    }
}

fn uid(pod: PartialObjectMeta<Pod>) -> Option<String> {
    pod.metadata.uid
}

/// kube-apiserver's words where it forbids the watch; other failures pass.
fn refusal(error: &watcher::Error) -> Option<String> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            if matches!(status.code, 401 | 403) =>
        {
            Some(format!(
                "{}. Grant coffer-csi \"list\" and \"watch\" on \"pods\" (see docs/leases.md)",
                status.message
            ))
        }
        _ => None,
    }
}

/// Whether nothing came in time: the connection, and others that were kept beside it, may be dead without a word.
fn is_timeout(error: &watcher::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if kind == Some(io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{FAITH, FIRST_FAITH, Faith};

    #[test]
    fn refusals_count_when_they_go_on_for_long_however_long_the_watch_went_well() {
        let hour = Instant::now() + Duration::from_secs(3600);
        let second = Duration::from_secs(1);
        for (mut faith, length) in [(Faith::at_first(), FIRST_FAITH), (Faith::restored(), FAITH)] {
            assert!(faith.lasts(hour) && faith.lasts(hour + length - second));
            assert!(!faith.lasts(hour + length));
        }
    }
}
