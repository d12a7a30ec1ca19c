//! Events of pods, by `events.k8s.io/v1`: what `kubectl describe pod` shows to a pod's owner.
//!
//! Reports wait in a queue of their own ([`queue`]), and a task sends one after another. Nobody
//! waits for it. `kube::runtime`'s own `Recorder` does not suffice: it sends each report at once,
//! remembers without a bound, and changes the note of an event, which kube-apiserver refuses.

mod api;
mod limits;
mod queue;
mod subject;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use coffer_provider::{PodReport, PodReporter};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use self::api::{EventApi, EventFault, EventFaultKind};
use self::queue::{EventQueue, NextEvent};
use crate::Kubernetes;

/// Sends the reports of pods as events, until this is dropped.
pub struct PodEventSender {
    queue: Arc<SharedQueue>,
    task: JoinHandle<()>,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOutcome {
    /// kube-apiserver has taken it, as an event or as one more of a series.
    Sent,
    /// It is part of one that waits or was sent lately.
    Merged,
    /// It was given up: too many wait, or kube-apiserver was away for too long.
    Dropped,
    /// kube-apiserver forbids it.
    Refused,
    /// A call failed. What failed for a reason that may pass is tried again.
    Failed,
}

impl EventOutcome {
    /// All outcomes.
    pub const ALL: [Self; 5] = [Self::Sent, Self::Merged, Self::Dropped, Self::Refused, Self::Failed];
}

/// Port: counts what becomes of reports.
pub trait EventObserver: Send + Sync {
    /// Counts a report, or a call.
    fn event(&self, outcome: EventOutcome);
}

struct SharedQueue {
    queue: Mutex<EventQueue>,
    /// Notified when there is something to send.
    added: Notify,
    observer: Arc<dyn EventObserver>,
}

impl PodEventSender {
    /// Starts to send events on the current tokio runtime. `node` is the name of this node, by which
    /// events name who reports.
    #[must_use]
    pub fn start(kubernetes: Arc<Kubernetes>, node: &str, observer: Arc<dyn EventObserver>) -> Self {
        let queue = SharedQueue { queue: Mutex::default(), added: Notify::new(), observer };
        let queue = Arc::new(queue);
        let sender = EventLoop {
            api: EventApi::new(kubernetes, node),
            queue: Arc::clone(&queue),
            log: CallLog::default(),
        };
        Self { queue, task: tokio::spawn(sender.run()) }
    }
}

impl PodReporter for PodEventSender {
    fn report(&self, report: PodReport) {
        let outcome = self.queue.lock().add(report, Instant::now());
        match outcome {
            None => self.queue.added.notify_one(),
            Some(outcome) => self.queue.observer.event(outcome),
        }
    }
}

impl Drop for PodEventSender {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SharedQueue {
    fn lock(&self) -> MutexGuard<'_, EventQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that sends events.
struct EventLoop {
    api: EventApi,
    queue: Arc<SharedQueue>,
    log: CallLog,
}

impl EventLoop {
    async fn run(mut self) {
        loop {
            let (next, dropped) = self.queue.lock().next(Instant::now());
            (0..dropped).for_each(|_| self.queue.observer.event(EventOutcome::Dropped));
            match next {
                NextEvent::Nothing => self.queue.added.notified().await,
                NextEvent::Later(wait) => {
                    tokio::select! {
                        () = sleep(wait) => {}
                        () = self.queue.added.notified() => {}
                    }
                }
                NextEvent::Send(event) => {
                    let result = self.api.send(&event).await;
                    self.log.note(&result, event.namespace());
                    let result = result.map_err(|fault| fault.kind);
                    self.queue.observer.event(outcome(result));
                    self.queue.lock().finish(*event, result, Instant::now());
                }
            }
        }
    }
}

fn outcome(result: Result<(), EventFaultKind>) -> EventOutcome {
    match result {
        Ok(()) => EventOutcome::Sent,
        Err(EventFaultKind::Forbidden) => EventOutcome::Refused,
        Err(EventFaultKind::NoNamespace) => EventOutcome::Dropped,
        Err(EventFaultKind::Expired | EventFaultKind::MayPass | EventFaultKind::Invalid) => {
            EventOutcome::Failed
        }
    }
}

/// Logs what is wrong with events, without a line for each of them.
#[derive(Default)]
struct CallLog {
    /// Whether calls failed, and that was logged.
    failing: bool,
    /// Whether it was logged that kube-apiserver forbids events.
    refused: bool,
}

impl CallLog {
    fn note(&mut self, result: &Result<(), EventFault>, namespace: &str) {
        let Err(EventFault { kind, error }) = result else {
            if std::mem::take(&mut self.failing) {
                tracing::info!("events of pods are written again");
            }
            return;
        };
        match kind {
            EventFaultKind::Forbidden if !self.refused => {
                self.refused = true;
                tracing::warn!(
                    %error,
                    namespace,
                    "events of pods are not written there, and later refusals are not logged: grant coffer-csi \
                     \"create\" and \"patch\" on \"events\" in \"events.k8s.io\", or set -pod-events=false"
                );
            }
            EventFaultKind::MayPass if !self.failing => {
                self.failing = true;
                tracing::warn!(%error, "events of pods are not written yet, trying again");
            }
            EventFaultKind::Invalid => tracing::debug!(%error, namespace, "an event of a pod was not taken"),
            _ => {}
        }
    }
}
