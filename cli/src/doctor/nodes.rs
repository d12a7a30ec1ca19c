//! Which nodes have a ready pod of a DaemonSet and, for the others, why not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::command::{command, json_patch, named};
use super::object::{condition, has_condition, items, name, text};
use super::placement::{Excluded, excluded};
use super::workload::Workload;

/// Nodes without a ready pod, for one reason.
pub(super) struct UnservedNodes {
    /// The names of the nodes.
    pub(super) nodes: Vec<String>,
    /// The reason.
    pub(super) reason: String,
    /// Whether the DaemonSet leaves the nodes out, as an operator may want it.
    pub(super) is_left_out: bool,
    /// What mends it or, if no command can, what shows more.
    pub(super) command: String,
}

impl UnservedNodes {
    /// Names the nodes and the reason.
    pub(super) fn message(&self, what: &str) -> String {
        let noun = if self.nodes.len() == 1 { "node" } else { "nodes" };
        format!("{what} is not ready on {noun} {}: {}", named(&self.nodes), self.reason)
    }
}

/// Returns the nodes on which no workload has a ready pod, by reason. `pods` are those of the
/// workloads' namespaces.
pub(super) fn unserved(workloads: &[Workload], pods: &[Value], nodes: &[&Value]) -> Vec<UnservedNodes> {
    let mut by_reason: BTreeMap<(String, String, bool), BTreeSet<String>> = BTreeMap::new();
    for node in nodes {
        let on_node = |workload: &Workload| {
            let mut found = pods.iter().filter(|pod| workload.owns(pod));
            found.find(|pod| node_of(pod) == name(node))
        };
        let is_served =
            |workload: &Workload| on_node(workload).is_some_and(|pod| has_condition(pod, "Ready"));
        if workloads.iter().any(is_served) {
            continue;
        }
        // the one that is meant to run there, else any
        let meant = workloads.iter().find(|workload| excluded(workload.pod(), node).is_none());
        let Some(workload) = meant.or(workloads.first()) else { continue };
        let is_away = condition(node, "Ready").is_some_and(|ready| text(ready, "status") != "True");
        let left_out = excluded(workload.pod(), node);
        let is_left_out = left_out.is_some();
        let (reason, command) = match (on_node(workload), left_out) {
            _ if is_away => ("the node itself is not ready".to_owned(), "kubectl get nodes".to_owned()),
            (Some(pod), _) => of_pod(pod, workload),
            (None, Some(reason)) => of_placement(&reason, workload, name(node)),
            (None, None) => {
                let shown =
                    ["kubectl", "describe", &workload.argument(), "--namespace", workload.namespace()];
                (format!("{} has no pod there", workload.title()), command(shown))
            }
        };
        by_reason.entry((reason, command, is_left_out)).or_default().insert(name(node).to_owned());
    }
    let unserved = by_reason.into_iter().map(|((reason, command, is_left_out), nodes)| UnservedNodes {
        nodes: nodes.into_iter().collect(),
        reason,
        is_left_out,
        command,
    });
    unserved.collect()
}

/// Returns the node of a pod of a DaemonSet. One that is not scheduled yet has it in its affinity.
fn node_of(pod: &Value) -> &str {
    let field = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0\
                 /matchFields/0/values/0";
    match text(&pod["spec"], "nodeName") {
        "" => pod.pointer(field).and_then(Value::as_str).unwrap_or_default(),
        node => node,
    }
}

/// Returns why a pod is not ready, and what shows more: without the pod's name in the reason, so that
/// one reason is one line.
pub(super) fn of_pod(pod: &Value, workload: &Workload) -> (String, String) {
    let namespace = workload.namespace();
    let selector = selector_of(workload);
    let described =
        command(["kubectl", "describe", "pods", "--namespace", namespace, "--selector", &selector]);
    let logs = logs(workload);
    let statuses = &pod["status"];
    let all = ["initContainerStatuses", "containerStatuses"].map(|list| items(&statuses[list])).concat();
    for status in &all {
        let (waiting, ended) = (&status["state"]["waiting"], &status["state"]["terminated"]);
        if waiting.is_object() {
            let last = &status["lastState"]["terminated"];
            let why = if last.is_object() { ended_with(last) } else { text(waiting, "message").to_owned() };
            let reason = text(waiting, "reason");
            // who has run has a log
            return (format!("{reason}: {why}"), if last.is_object() { logs } else { described });
        }
        if ended.is_object() {
            return (ended_with(ended), logs);
        }
    }
    let scheduled = condition(pod, "PodScheduled").filter(|condition| text(condition, "status") == "False");
    if let Some(scheduled) = scheduled {
        return (format!("{}: {}", text(scheduled, "reason"), text(scheduled, "message")), described);
    }
    if text(statuses, "phase") != "Running" {
        let phase = text(statuses, "phase");
        return (format!("its pod is {phase}, and no container has begun"), described);
    }
    ("its readiness probe fails".to_owned(), logs)
}

/// Returns the command that shows the ends of the logs of a workload's pods.
pub(super) fn logs(workload: &Workload) -> String {
    let (namespace, selector) = (workload.namespace(), selector_of(workload));
    let words = ["kubectl", "logs", "--namespace", namespace, "--selector", &selector];
    command(words.into_iter().chain(["--prefix", "--tail=20"]))
}

fn ended_with(ended: &Value) -> String {
    format!("the container ended with exit code {} ({})", ended["exitCode"], text(ended, "reason"))
}

/// Returns why the DaemonSet leaves a node out, and the command that includes it.
fn of_placement(reason: &Excluded, workload: &Workload, node: &str) -> (String, String) {
    let title = workload.title();
    match reason {
        Excluded::Selector(key, value) => (
            format!("the nodeSelector of {title} wants the label {key}={value}"),
            command(["kubectl", "label", "node", node, &format!("{key}={value}"), "--overwrite"]),
        ),
        Excluded::Affinity => {
            let shown = command([
                "kubectl",
                "get",
                &workload.argument(),
                "--namespace",
                workload.namespace(),
                "--output=jsonpath={.spec.template.spec.affinity}",
            ]);
            (format!("the affinity of {title} leaves the node out"), shown)
        }
        Excluded::Taint(taint) => {
            let tolerations = "/spec/template/spec/tolerations";
            let (path, value) = match workload.pod()["tolerations"].is_array() {
                true => (format!("{tolerations}/-"), json!({ "operator": "Exists" })),
                false => (tolerations.to_owned(), json!([{ "operator": "Exists" }])),
            };
            let patch = json!([{ "op": "add", "path": path, "value": value }]);
            let command = json_patch(&workload.argument(), Some(workload.namespace()), &patch);
            (format!("{title} does not tolerate the node's taint {taint}"), command)
        }
    }
}

/// Returns the selector of a workload's pods, as kubectl takes it.
pub(super) fn selector_of(workload: &Workload) -> String {
    let labels = workload.object.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let pairs = labels.into_iter().flatten();
    let pairs = pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    pairs.collect::<Vec<_>>().join(",")
}

/// Returns the nodes on which pods can mount: those with the driver, or all if it is not known where
/// the driver is.
pub(super) fn with_driver<'a>(nodes: &'a [Value], registered: Option<&BTreeSet<String>>) -> Vec<&'a Value> {
    let has_driver = |node: &&Value| registered.is_none_or(|registered| registered.contains(name(node)));
    nodes.iter().filter(has_driver).collect()
}

/// Tells whether two DaemonSets have pods on one node of these.
pub(super) fn share_a_node(one: &Workload, other: &Workload, nodes: &[Value]) -> bool {
    let runs_on = |workload: &Workload, node: &Value| excluded(workload.pod(), node).is_none();
    nodes.iter().any(|node| runs_on(one, node) && runs_on(other, node))
}

/// Returns the images of a workload's pods.
pub(super) fn images<'a>(workload: &Workload, pods: &'a [Value]) -> BTreeSet<&'a str> {
    let main = workload.container_name();
    let containers =
        pods.iter().filter(|pod| workload.owns(pod)).flat_map(|pod| items(&pod["spec"]["containers"]));
    containers.filter(|container| text(container, "name") == main).map(|it| text(it, "image")).collect()
}
