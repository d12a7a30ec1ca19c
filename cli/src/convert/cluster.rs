//! The workloads of a cluster.

use coffer_kubernetes::KubeConnection;
use serde_json::Value;

use super::ConvertContext;
use super::conversion::{ClassNames, Conversion};
use super::outcome::ConvertOutcome;
use super::patch::WorkloadPatch;
use super::report::{ConvertFinding, ConvertReport};
use super::workload::Workload;
use super::yaml::value::PlainValue;
use crate::object_list::{ListError, list};

/// The kinds that have pods: path of the API, resource, API version, kind.
const KINDS: [(&str, &str, &str, &str); 8] = [
    ("/apis/apps/v1", "deployments", "apps/v1", "Deployment"),
    ("/apis/apps/v1", "statefulsets", "apps/v1", "StatefulSet"),
    ("/apis/apps/v1", "daemonsets", "apps/v1", "DaemonSet"),
    ("/apis/apps/v1", "replicasets", "apps/v1", "ReplicaSet"),
    ("/apis/batch/v1", "cronjobs", "batch/v1", "CronJob"),
    ("/apis/batch/v1", "jobs", "batch/v1", "Job"),
    ("/api/v1", "replicationcontrollers", "v1", "ReplicationController"),
    ("/api/v1", "pods", "v1", "Pod"),
];

/// Returns the workloads of a namespace, or of all namespaces, without those that belong to others,
/// as pods do to their Deployment. Marks the names of the classes there as taken.
pub(super) async fn workloads(
    connection: &KubeConnection,
    namespace: Option<&str>,
    names: &mut ClassNames,
) -> Result<Vec<PlainValue>, ListError> {
    let classes =
        list(connection, "/apis/secrets-store.csi.x-k8s.io/v1", "secretproviderclasses", namespace).await;
    for class in without_absent(classes)? {
        let text = |name| class["metadata"][name].as_str();
        names.take(text("namespace"), text("name").unwrap_or_default());
    }
    let mut workloads = Vec::new();
    for (api, resource, version, kind) in KINDS {
        for object in list(connection, api, resource, namespace).await? {
            if object["metadata"]["ownerReferences"].as_array().is_none_or(Vec::is_empty) {
                let mut value = PlainValue::from(&object);
                value.set("apiVersion", PlainValue::string(version));
                value.set("kind", PlainValue::string(kind));
                workloads.push(value);
            }
        }
    }
    Ok(workloads)
}

/// Returns no classes if the cluster does not know them yet.
fn without_absent(classes: Result<Vec<Value>, ListError>) -> Result<Vec<Value>, ListError> {
    match classes {
        Err(ListError::Call(error)) if error.status() == Some(404) => Ok(Vec::new()),
        classes => classes,
    }
}

/// Converts a workload of the cluster into classes and a patch.
pub(super) fn convert(
    object: &PlainValue,
    context: &mut ConvertContext<'_>,
    report: &mut ConvertReport,
) -> Option<WorkloadPatch> {
    let workload = Workload::of(object)?;
    let conversion = Conversion::of(&workload, object, context);
    let finding = |outcome: ConvertOutcome, annotation: Option<&str>, message: &str| ConvertFinding {
        outcome,
        file: None,
        at: None,
        namespace: workload.namespace.clone(),
        workload: Some(workload.title()),
        annotation: annotation.map(str::to_owned),
        message: message.to_owned(),
    };
    let notes = conversion.notes.iter();
    report.findings.extend(notes.map(|note| finding(note.outcome, Some(&note.annotation), &note.message)));
    report.workloads += usize::from(conversion.is_injected);
    report.converted += usize::from(!conversion.classes.is_empty());
    let patch = WorkloadPatch::new(&workload, &conversion.classes, &conversion.change)?;
    if let Some(message) = patch.refusal {
        report.findings.push(finding(ConvertOutcome::NeedsPerson, None, message));
    }
    Some(patch)
}
