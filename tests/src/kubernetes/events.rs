//! Events, which `kubectl describe pod` shows.

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use tonic::Status;

use super::kubelet::PodVolume;
use crate::pod::TestPod;

/// The longest message that client-go sends.
const LONGEST: usize = 1024;

/// Records a failed mount as kubelet does. Nothing is recorded while kube-apiserver is down, as
/// with kubelet.
pub(crate) async fn failed_mount(client: &Client, volume: &PodVolume, status: &Status) {
    let TestPod { namespace, name, uid, .. } = &volume.pod;
    // The format in which Go prints gRPC errors.
    let mut message = format!(
        "MountVolume.SetUp failed for volume {:?} : rpc error: code = {:?} desc = {}",
        volume.name(),
        status.code(),
        status.message()
    );
    message.truncate(message.floor_char_boundary(LONGEST));
    let event = Event {
        metadata: ObjectMeta { generate_name: Some(format!("{name}.")), ..ObjectMeta::default() },
        involved_object: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some(namespace.clone()),
            name: Some(name.clone()),
            uid: Some(uid.clone()),
            ..ObjectReference::default()
        },
        type_: Some("Warning".to_owned()),
        reason: Some("FailedMount".to_owned()),
        message: Some(message),
        source: Some(EventSource { component: Some("kubelet".to_owned()), ..EventSource::default() }),
        count: Some(1),
        ..Event::default()
    };
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let _ = events.create(&PostParams::default(), &event).await;
}

/// Returns the messages of a pod's events with that reason.
pub(crate) async fn messages(client: &Client, pod: &TestPod, reason: &str) -> Vec<String> {
    let events: Api<Event> = Api::namespaced(client.clone(), &pod.namespace);
    let of_pod = ListParams::default().fields(&format!("involvedObject.uid={},reason={reason}", pod.uid));
    let found = events.list(&of_pod).await.expect("the pod's events");
    found.into_iter().filter_map(|event| event.message).collect()
}
