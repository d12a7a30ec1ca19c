//! The watch on the pods of one node: when a pod is gone, what was issued for it can be revoked.

#[cfg(test)]
mod model;

use std::collections::HashSet;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use coffer_provider::{PodEvent, PodEvents, root_cause};
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::KubeconfigChoice;
use crate::connection::{KubeConnection, access};
use crate::error::ConnectError;
use crate::object_watch::list_and_watch;
use crate::own_pod::{OwnPodError, own_pod};
use crate::refusal_grace::RefusalGrace;

/// Events that may wait for the lease manager; the watch stops while there are more.
const QUEUED_EVENTS: usize = 64;

/// Pause after a refusal, until the pods are listed again.
const RETRY_AFTER_REFUSAL: Duration = Duration::from_secs(20);

/// Pods in one page of a list. The annotations of one pod may have 256 KiB, and pages are held whole.
const PAGE: u32 = 10;

/// Time without a byte after which a watch's connection counts as dead. kube-apiserver sends a
/// bookmark every minute, or up to a quarter later.
const READ_TIMEOUT: Duration = Duration::from_secs(90);

/// Pause after a dead connection, until a new one is made.
const RECONNECT_PAUSE: Duration = Duration::from_secs(2);

/// A watch on the pods of a node that have not finished. It ends when this is dropped.
pub struct PodWatch(JoinHandle<()>);

impl PodWatch {
    /// Starts to watch the pods of `node`, and goes on while kube-apiserver is away.
    ///
    /// Finished pods leave the selection, which the watch reports as a deletion
    /// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/>), so
    /// the metadata of pods suffices.
    #[must_use]
    pub fn start(node: &str) -> (Self, PodEvents) {
        let (sender, events) = mpsc::channel(QUEUED_EVENTS);
        let list = Arc::new(Notify::new());
        let follower = PodFollower::new(node, sender);
        let watch = tokio::spawn(follower.follow(PodApi::connect, Arc::clone(&list)));
        (Self(watch), PodEvents { events, list })
    }
}

impl Drop for PodWatch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why one watch ended. The next one begins with a list, and so reports what happened meanwhile.
enum WatchEnd {
    /// The receiver of the events is gone.
    NoReceiver,
    /// kube-apiserver refuses, or lists the pods of another node. Holds the reason.
    Refused(String),
    /// The connection is dead.
    ConnectionDead,
    /// The lease manager asked for a list.
    ListRequested,
}

/// The pods of a node cannot be asked for.
#[derive(Debug, thiserror::Error)]
enum PodApiError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    OwnPod(#[from] OwnPodError),
}

/// A client for pods, and the pod of this process.
struct PodApi {
    pods: Api<PartialObjectMeta<Pod>>,
    /// The uid of this process's own pod; `None` outside of pods.
    own_pod: Option<String>,
}

impl PodApi {
    /// Makes a client that serves the watch alone: it may be silent for longer than other calls.
    async fn connect() -> Result<Self, PodApiError> {
        let access = access(&KubeconfigChoice::default(), Some(READ_TIMEOUT)).await?;
        let own_pod = own_pod(&access.config).await?;
        Ok(Self { pods: Api::all(KubeConnection::with_access(access)?.client), own_pod })
    }

    /// Returns whether a list can be that of this node: it has the own pod or, outside of pods, any
    /// pod.
    fn accepts(&self, list: &HashSet<String>) -> bool {
        self.own_pod.as_ref().map_or(!list.is_empty(), |own| list.contains(own))
    }
}

/// A list of pods, as far as it was received.
struct PodList {
    uids: HashSet<String>,
    began: Instant,
    is_complete: bool,
}

impl PodList {
    fn begin() -> Self {
        Self { uids: HashSet::new(), began: Instant::now(), is_complete: false }
    }
}

/// Follows the pods of a node and sends what happens to them.
struct PodFollower {
    node: String,
    events: mpsc::Sender<PodEvent>,
    grace: RefusalGrace,
    /// The failure that was logged last, while the watch fails.
    logged_failure: Option<String>,
    /// Whether kube-apiserver allows to list the pods and refuses to watch them.
    lists_only: bool,
}

impl PodFollower {
    fn new(node: &str, events: mpsc::Sender<PodEvent>) -> Self {
        Self {
            node: node.to_owned(),
            events,
            grace: RefusalGrace::before_first_list(),
            logged_failure: None,
            lists_only: false,
        }
    }

    async fn follow<F>(mut self, connect: impl Fn() -> F, list: Arc<Notify>)
    where
        F: Future<Output = Result<PodApi, PodApiError>>,
    {
        loop {
            let end = match connect().await {
                Ok(api) => self.watch(&api, &list).await,
                Err(error) => WatchEnd::Refused(error.to_string()),
            };
            match end {
                WatchEnd::NoReceiver => return,
                WatchEnd::Refused(reason) => {
                    self.handle_refusal(reason).await;
                    sleep(RETRY_AFTER_REFUSAL).await;
                }
                WatchEnd::ConnectionDead => sleep(RECONNECT_PAUSE).await,
                WatchEnd::ListRequested => {}
            }
        }
    }

    /// Lists and then watches the pods, until that cannot go on.
    async fn watch(&mut self, api: &PodApi, list_request: &Notify) -> WatchEnd {
        let selector = format!("spec.nodeName={},status.phase!=Succeeded,status.phase!=Failed", self.node);
        let config = watcher::Config::default().fields(&selector).page_size(PAGE);
        let mut watched = pin!(list_and_watch(api.pods.clone(), config));
        let mut list = PodList::begin();
        loop {
            let event = tokio::select! {
                event = watched.next() => event,
                // a list in progress is not started again
                () = list_request.notified(), if list.is_complete => return WatchEnd::ListRequested,
            };
            let event = match event {
                Some(Ok(event)) => self.pod_event(event, api, &mut list),
                Some(Err(error)) => match self.failed(&error) {
                    Some(end) => return end,
                    None => continue,
                },
                None => return WatchEnd::NoReceiver,
            };
            match event {
                Ok(Some(event)) => {
                    self.log_recovery(&event);
                    if self.events.send(event).await.is_err() {
                        return WatchEnd::NoReceiver;
                    }
                }
                Ok(None) => {}
                Err(end) => return end,
            }
        }
    }

    /// Returns what an event of the watch says of pods; `None` for parts of a list.
    fn pod_event(
        &mut self,
        event: Event<PartialObjectMeta<Pod>>,
        api: &PodApi,
        list: &mut PodList,
    ) -> Result<Option<PodEvent>, WatchEnd> {
        Ok(match event {
            Event::Init => {
                *list = PodList::begin();
                None
            }
            Event::InitApply(pod) => {
                list.uids.extend(pod.metadata.uid);
                None
            }
            Event::InitDone if !api.accepts(&list.uids) => {
                return Err(WatchEnd::Refused(format!(
                    "coffer-csi's own pod is not among those of the node {:?}: take NODE_NAME from spec.nodeName",
                    self.node
                )));
            }
            Event::InitDone => {
                list.is_complete = true;
                self.grace = RefusalGrace::after_list();
                Some(PodEvent::Listed(std::mem::take(&mut list.uids), list.began.into_std()))
            }
            Event::Apply(pod) => pod.metadata.uid.map(PodEvent::Appeared),
            Event::Delete(pod) => pod.metadata.uid.map(PodEvent::Gone),
        })
    }

    /// Logs that the watch works again. A list alone does not prove that, where watching was
    /// refused.
    fn log_recovery(&mut self, event: &PodEvent) {
        self.lists_only &= matches!(event, PodEvent::Listed(..));
        if !self.lists_only && self.logged_failure.take().is_some() {
            tracing::info!("the node's pods are watched again");
        }
    }

    /// Handles a failure of the watch, and returns how the watch ends; `None` where it goes on by
    /// itself.
    fn failed(&mut self, error: &watcher::Error) -> Option<WatchEnd> {
        if let Some(refusal) = refusal(error) {
            self.lists_only = matches!(error, watcher::Error::WatchStartFailed(_));
            return Some(WatchEnd::Refused(refusal));
        }
        self.log_failure(root_cause(error));
        is_timeout(error).then_some(WatchEnd::ConnectionDead)
    }

    /// Logs a failure, once for as long as it stays the same.
    fn log_failure(&mut self, reason: String) {
        if self.logged_failure.as_ref() != Some(&reason) {
            tracing::warn!(error = %reason, "the node's pods cannot be watched, trying again");
            self.logged_failure = Some(reason);
        }
    }

    /// Reports that the end of a pod may go unnoticed, unless the refusal is within its grace
    /// period.
    async fn handle_refusal(&mut self, reason: String) {
        if self.grace.ignores_refusal(Instant::now().into_std()) {
            return self.log_failure(reason);
        }
        // a receiver that is gone is noticed at the next event
        let _ = self.events.send(PodEvent::Unwatchable(reason)).await;
    }
}

/// Returns kube-apiserver's words where it forbids list or watch; `None` for failures that may
/// pass.
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

/// Returns whether a read timed out: this connection, and others beside it, may be dead without
/// notice.
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
