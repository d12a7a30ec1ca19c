//! Patches of workloads, for `kubectl patch` and for kustomize.

use super::class::ConvertedClass;
use super::document::ConvertedWorkload;
use super::pod_change::{PodChange, SecretVolume};
use super::workload::Workload;
use super::yaml::value::PlainValue;
use super::yaml::write::BlockStyle;

/// The classes of a workload, and the patch that makes it use them.
pub(super) struct WorkloadPatch {
    /// The workload's namespace, if it is known.
    pub(super) namespace: Option<String>,
    /// Kind and name of the workload, as parts of file names.
    pub(super) name: String,
    /// The classes.
    pub(super) classes: String,
    /// The patch, a strategic merge patch; none if the workload cannot be patched.
    pub(super) patch: Option<String>,
    /// Why it cannot be patched, and what to do.
    pub(super) refusal: Option<&'static str>,
}

impl WorkloadPatch {
    /// Returns the patch of a workload that was converted.
    pub(super) fn of(workload: &ConvertedWorkload) -> Option<Self> {
        Self::new(&workload.workload, &workload.conversion.classes, &workload.conversion.change)
    }

    /// Returns the patch of a workload; none without classes.
    pub(super) fn new(workload: &Workload, classes: &[ConvertedClass], change: &PodChange) -> Option<Self> {
        if classes.is_empty() {
            return None;
        }
        let (kind, name) = (workload.kind.to_lowercase(), &workload.name);
        let namespace = workload.namespace.as_ref();
        let in_namespace = namespace.map(|namespace| format!(" --namespace {namespace}")).unwrap_or_default();
        let head =
            format!("# kubectl patch {kind} {name}{in_namespace} --patch-file {kind}-{name}.patch.yaml\n");
        let block = BlockStyle { indent_lists: true }.block(&patch(workload, change), 0);
        let refusal = refusal(&workload.kind);
        let texts: Vec<String> = classes.iter().map(ConvertedClass::text).collect();
        Some(Self {
            namespace: workload.namespace.clone(),
            name: format!("{kind}-{name}"),
            classes: texts.join("---\n"),
            patch: refusal.is_none().then(|| head + &block),
            refusal,
        })
    }
}

/// Returns why workloads of a kind cannot be patched.
fn refusal(kind: &str) -> Option<&'static str> {
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "CronJob" => {
            None
        }
        "Job" | "Pod" => Some(
            "there is no patch, since Kubernetes lets nobody change volumes of a pod or of a Job: convert the manifest \
             that it comes from, and create it anew",
        ),
        _ => Some(
            "there is no patch, since kubectl patch merges lists of Kubernetes' own kinds alone: convert the manifest \
             that it comes from",
        ),
    }
}

fn patch(workload: &Workload, change: &PodChange) -> PlainValue {
    let removed = change.removed.iter().map(|name| (name.clone(), PlainValue::literal("null")));
    let metadata = PlainValue::Map(vec![("annotations".to_owned(), PlainValue::Map(removed.collect()))]);
    let mut spec = PlainValue::Map(Vec::new());
    for container in &change.mounts {
        let mounts = PlainValue::List(container.values());
        let named =
            PlainValue::map([("name", PlainValue::string(&container.name)), ("volumeMounts", mounts)]);
        spec.push(container.list, named);
    }
    spec.set("volumes", PlainValue::List(change.volumes.iter().map(SecretVolume::value).collect()));
    let pod = PlainValue::map([("metadata", metadata), ("spec", spec)]);
    let mut whole = workload.pod.iter().rev().fold(pod, |inner, name| PlainValue::map([(name, inner)]));
    // kustomize finds by these what the patch is for
    let mut object = PlainValue::map([
        ("apiVersion", PlainValue::string(&workload.api_version)),
        ("kind", PlainValue::string(&workload.kind)),
        ("metadata", PlainValue::map([("name", PlainValue::string(&workload.name))])),
    ]);
    if let (Some(namespace), Some(metadata)) = (&workload.namespace, object.at_mut(&["metadata"])) {
        metadata.set("namespace", PlainValue::string(namespace));
    }
    if let PlainValue::Map(members) = &mut whole {
        for (name, value) in std::mem::take(members) {
            match object.at_mut(&[&name]) {
                Some(PlainValue::Map(known)) => known.extend(value.members().iter().cloned()),
                _ => object.set(&name, value),
            }
        }
    }
    object
}
