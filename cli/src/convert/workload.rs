//! The workloads of a manifest: objects that have pods, and where their pods are described.

use super::yaml::value::PlainValue;

/// An object that has pods, or is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Workload {
    /// The API version.
    pub(super) api_version: String,
    /// The kind, such as `Deployment`.
    pub(super) kind: String,
    /// The name; for a generated name its beginning.
    pub(super) name: String,
    /// The namespace, if the manifest names one.
    pub(super) namespace: Option<String>,
    /// The path to the pod's template in the object; empty for a pod.
    pub(super) pod: &'static [&'static str],
}

const TEMPLATE: &[&str] = &["spec", "template"];
const JOB_TEMPLATE: &[&str] = &["spec", "jobTemplate", "spec", "template"];

impl Workload {
    /// Returns the workload that an object is, if it is one. Kinds of others that have a pod's
    /// template where a Deployment has it, such as Argo's Rollout, are workloads as well.
    pub(super) fn of(object: &PlainValue) -> Option<Self> {
        let text = |path: &[&str]| object.at(path)?.text().map(str::to_owned);
        let kind = text(&["kind"])?;
        let pod: &[&str] = match kind.as_str() {
            "Pod" => &[],
            "CronJob" => JOB_TEMPLATE,
            _ => TEMPLATE,
        };
        object.at(pod)?.at(&["spec", "containers"])?;
        let name = text(&["metadata", "name"]);
        let generated = || Some(text(&["metadata", "generateName"])?.trim_end_matches(['-', '.']).to_owned());
        Some(Self {
            api_version: text(&["apiVersion"]).unwrap_or_default(),
            name: name.or_else(generated).unwrap_or_else(|| kind.to_lowercase()),
            kind,
            namespace: text(&["metadata", "namespace"]),
            pod,
        })
    }

    /// Returns the path to a part of the pod, in the object.
    pub(super) fn in_pod(&self, part: &[&'static str]) -> Vec<&'static str> {
        [self.pod, part].concat()
    }

    /// Returns kind and name, as `kubectl` takes them.
    pub(super) fn title(&self) -> String {
        format!("{}/{}", self.kind.to_lowercase(), self.name)
    }
}

/// Returns the objects of a document: the document itself, or the items of a list.
pub(super) fn objects(document: &PlainValue) -> Vec<&PlainValue> {
    match list_of(document) {
        Some(items) => items.iter().collect(),
        None => vec![document],
    }
}

/// Returns the items of a list of objects.
pub(super) fn list_of(document: &PlainValue) -> Option<&[PlainValue]> {
    let kind = document.get("kind")?.text()?;
    let items = document.get("items").filter(|_| kind.ends_with("List"))?;
    Some(items.items())
}
