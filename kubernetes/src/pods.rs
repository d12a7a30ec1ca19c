//! The pods of one node, watched: when one is gone, what was issued to it can be revoked.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_provider::{PodEvent, PodEvents, root_cause};
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Config};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Events that wait for the keeper; the watch waits where there are more.
const WAITING: usize = 64;

/// How long after a refusal the pods are listed again.
const AFTER_REFUSAL: Duration = Duration::from_secs(20);

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
        let selector = format!("spec.nodeName={node},status.phase!=Succeeded,status.phase!=Failed");
        let watch = tokio::spawn(follow(selector, sender, Arc::clone(&list)));
        (Self(watch), PodEvents { events, list })
    }
}

impl Drop for PodWatch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why a watch was given up.
enum Ended {
    Unheard,
    Forbidden,
}

async fn follow(selector: String, events: mpsc::Sender<PodEvent>, list: Arc<Notify>) {
    let client = match client().await {
        Ok(client) => client,
        Err(reason) => {
            // nobody to ask, and no more to tell
            let _ = events.send(PodEvent::Unwatchable(reason)).await;
            return;
        }
    };
    let api: Api<PartialObjectMeta<Pod>> = Api::all(client);
    loop {
        // every watch begins with a list
        tokio::select! {
            ended = follow_once(&api, &selector, &events) => match ended {
                Ended::Unheard => return,
                Ended::Forbidden => sleep(AFTER_REFUSAL).await,
            },
            () = list.notified() => {}
        }
    }
}

/// Follows until nobody listens, or the watch is forbidden: it would go on later without a list, and leave untold what
/// happened meanwhile.
async fn follow_once(
    api: &Api<PartialObjectMeta<Pod>>,
    selector: &str,
    events: &mpsc::Sender<PodEvent>,
) -> Ended {
    let config = watcher::Config::default().fields(selector);
    let mut watched = pin!(watcher(api.clone(), config).default_backoff());
    let mut listing = HashSet::new();
    let mut began = Instant::now();
    while let Some(event) = watched.next().await {
        let event = match event {
            Ok(Event::Init) => {
                listing.clear();
                began = Instant::now();
                continue;
            }
            Ok(Event::InitApply(pod)) => {
                listing.extend(uid(pod));
                continue;
            }
            Ok(Event::InitDone) => Some(PodEvent::Listed(std::mem::take(&mut listing), began)),
            Ok(Event::Apply(pod)) => uid(pod).map(PodEvent::Appeared),
            Ok(Event::Delete(pod)) => uid(pod).map(PodEvent::Gone),
            Err(error) => refusal(&error).map(PodEvent::Unwatchable),
        };
        let Some(event) = event else { continue };
        let forbidden = matches!(event, PodEvent::Unwatchable(_));
        if events.send(event).await.is_err() {
            break;
        }
        if forbidden {
            return Ended::Forbidden;
        }
    }
    Ended::Unheard
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
            Some(status.message.clone())
        }
        other => {
            tracing::warn!("the node's pods cannot be watched, trying again: {}", root_cause(other));
            None
        }
    }
}

/// A client of its own: a watch is silent for longer than any other call may take.
async fn client() -> Result<Client, String> {
    let mut config = Config::infer().await.map_err(|error| root_cause(&error))?;
    config.connect_timeout = Some(Duration::from_secs(3));
    Client::try_from(config).map_err(|error| root_cause(&error))
}
