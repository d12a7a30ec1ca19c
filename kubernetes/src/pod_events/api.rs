//! The calls that write events, and what their failures mean.

use std::sync::Arc;

use coffer_provider::{Pod, ReportReason};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::queue::OutgoingEvent;
use crate::connection::call;
use crate::error::CallError;
use crate::names::check_names;
use crate::{CALL_TIMEOUT, Kubernetes};

/// Who reports: `reportingController` of all events.
const CONTROLLER: &str = "coffer-csi";

/// Longest `reportingInstance`, in bytes: kube-apiserver's limit.
const LONGEST_INSTANCE: usize = 128;

/// Writes events.
pub(super) struct EventApi {
    kubernetes: Arc<Kubernetes>,
    instance: String,
}

/// An event that was not written.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(super) struct EventFault {
    pub(super) kind: EventFaultKind,
    #[source]
    pub(super) error: CallError,
}

/// What a failure means for the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventFaultKind {
    /// The event of the series is gone: kube-apiserver keeps it for an hour.
    Expired,
    /// The namespace is gone, or about to.
    NoNamespace,
    /// kube-apiserver forbids events there.
    Forbidden,
    /// It may succeed later.
    MayPass,
    /// kube-apiserver does not take this event.
    Invalid,
}

impl EventApi {
    pub(super) fn new(kubernetes: Arc<Kubernetes>, node: &str) -> Self {
        let instance = node[..node.floor_char_boundary(LONGEST_INSTANCE)].to_owned();
        let instance = if instance.is_empty() { CONTROLLER.to_owned() } else { instance };
        Self { kubernetes, instance }
    }

    /// Writes an event.
    ///
    /// # Errors
    /// [`EventFault`], if kube-apiserver does not have it.
    pub(super) async fn send(&self, event: &OutgoingEvent) -> Result<(), EventFault> {
        let mut is_terminating = false;
        let is_patch = event.sent.is_some();
        match self.write(event, &mut is_terminating).await {
            Ok(()) => Ok(()),
            // an attempt without an answer made it
            Err(error) if error.status() == Some(409) && !is_patch => Ok(()),
            Err(error) => {
                let kind = if is_terminating { EventFaultKind::NoNamespace } else { kind(&error, is_patch) };
                Err(EventFault { kind, error })
            }
        }
    }

    async fn write(&self, event: &OutgoingEvent, is_terminating: &mut bool) -> Result<(), CallError> {
        let (namespace, waiting) = (event.namespace(), &event.waiting);
        check_names(namespace, &event.pod.name)?;
        let client = self.kubernetes.connection().await?.client.clone();
        let events: Api<Event> = Api::namespaced(client, namespace);
        let written = async {
            let written = match &event.sent {
                Some(sent) => {
                    let series = series(sent.count.saturating_add(waiting.count), waiting.last);
                    let patch = Patch::Merge(json!({ "series": series }));
                    events.patch(&sent.name, &PatchParams::default(), &patch).await
                }
                None => events.create(&PostParams::default(), &self.new_event(event)).await,
            };
            written.inspect_err(|error| *is_terminating = of_terminating_namespace(error))
        };
        call(CALL_TIMEOUT, written).await.map(drop)
    }

    fn new_event(&self, event: &OutgoingEvent) -> Event {
        let OutgoingEvent { pod: Pod { name, uid }, waiting, reason, .. } = event;
        let text = |text: &str| Some(text.to_owned());
        let (type_, action) = type_and_action(*reason);
        Event {
            metadata: ObjectMeta {
                name: waiting.name.clone(),
                namespace: text(event.namespace()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(waiting.first)),
            reporting_controller: text(CONTROLLER),
            reporting_instance: text(&self.instance),
            regarding: Some(ObjectReference {
                api_version: text("v1"),
                kind: text("Pod"),
                namespace: text(event.namespace()),
                name: text(name),
                uid: text(uid),
                ..ObjectReference::default()
            }),
            type_: text(type_),
            reason: Some(format!("{reason:?}")),
            action: text(action),
            note: Some(waiting.note.clone()),
            series: (waiting.count > 1).then(|| series(waiting.count, waiting.last)),
            ..Event::default()
        }
    }
}

fn series(count: i32, last: k8s_openapi::jiff::Timestamp) -> EventSeries {
    EventSeries { count, last_observed_time: MicroTime(last) }
}

/// Returns an event's `type` and `action`.
fn type_and_action(reason: ReportReason) -> (&'static str, &'static str) {
    match reason {
        ReportReason::SecretRotationFailed => ("Warning", "RotateSecrets"),
        ReportReason::SecretRotationRecovered => ("Normal", "RotateSecrets"),
        ReportReason::CredentialRenewalStopped => ("Warning", "RenewCredential"),
        ReportReason::CredentialReplaced => ("Normal", "ReplaceCredential"),
    }
}

fn kind(error: &CallError, is_patch: bool) -> EventFaultKind {
    match (error, error.status()) {
        (CallError::NotName(_), _) => EventFaultKind::Invalid,
        (_, Some(403)) => EventFaultKind::Forbidden,
        (_, Some(404)) if is_patch => EventFaultKind::Expired,
        (_, Some(404)) => EventFaultKind::NoNamespace,
        (_, Some(401 | 408 | 409 | 429)) => EventFaultKind::MayPass,
        (_, Some(400..500)) => EventFaultKind::Invalid,
        _ => EventFaultKind::MayPass,
    }
}

/// Returns whether kube-apiserver refuses for a namespace that is being deleted: that is a 403 too.
fn of_terminating_namespace(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    causes.any(|cause| cause.reason == "NamespaceTerminating")
}
