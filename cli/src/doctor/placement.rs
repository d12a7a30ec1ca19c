//! Which nodes a DaemonSet's pods run on, by the rules of Kubernetes' scheduler
//! (<https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/>).

use serde_json::Value;

use super::object::{items, text};

/// Why no pod of a DaemonSet runs on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Excluded {
    /// `nodeSelector` wants a label with this name and value.
    Selector(String, String),
    /// The required node affinity leaves the node out.
    Affinity,
    /// The node has this taint, which is not tolerated.
    Taint(String),
}

/// Taints that the DaemonSet controller lets every pod of a DaemonSet tolerate.
const TOLERATED: [&str; 6] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
];

/// Returns why pods of this `PodSpec` do not run on a node; none if they do.
pub(super) fn excluded(pod: &Value, node: &Value) -> Option<Excluded> {
    let labels = &node["metadata"]["labels"];
    for (name, value) in pod["nodeSelector"].as_object().into_iter().flatten() {
        if labels.get(name) != Some(value) {
            let value = value.as_str().unwrap_or_default();
            return Some(Excluded::Selector(name.clone(), value.to_owned()));
        }
    }
    let terms = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    if let Some(terms) = pod.pointer(terms).and_then(Value::as_array)
        && !terms.iter().any(|term| fits(term, node))
    {
        return Some(Excluded::Affinity);
    }
    let taints = items(&node["spec"]["taints"]).iter();
    let excluding =
        taints.filter(|taint| matches!(text(taint, "effect"), "NoSchedule" | "NoExecute")).find(|taint| {
            let is_usual = TOLERATED.contains(&text(taint, "key"));
            !is_usual && !items(&pod["tolerations"]).iter().any(|toleration| tolerates(toleration, taint))
        });
    excluding.map(|taint| {
        Excluded::Taint(format!("{}={}:{}", text(taint, "key"), text(taint, "value"), text(taint, "effect")))
    })
}

/// Tells whether a term of a node selector fits; an empty term fits no node.
fn fits(term: &Value, node: &Value) -> bool {
    let (labels, fields) = (items(&term["matchExpressions"]), items(&term["matchFields"]));
    let label = |name: &str| node["metadata"]["labels"].get(name).and_then(Value::as_str);
    let field = |name: &str| (name == "metadata.name").then(|| text(&node["metadata"], "name"));
    (!labels.is_empty() || !fields.is_empty())
        && labels.iter().all(|requirement| meets(requirement, label(text(requirement, "key"))))
        && fields.iter().all(|requirement| meets(requirement, field(text(requirement, "key"))))
}

fn meets(requirement: &Value, has: Option<&str>) -> bool {
    let values = items(&requirement["values"]);
    let is_listed = has.is_some_and(|has| values.iter().any(|value| value == has));
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let limit = number(values.first().and_then(Value::as_str));
    match text(requirement, "operator") {
        "In" => is_listed,
        "NotIn" => !is_listed,
        "Exists" => has.is_some(),
        "DoesNotExist" => has.is_none(),
        "Gt" => number(has).zip(limit).is_some_and(|(has, limit)| has > limit),
        "Lt" => number(has).zip(limit).is_some_and(|(has, limit)| has < limit),
        _ => false,
    }
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let same = |field: &str| text(toleration, field) == text(taint, field);
    let any = |field: &str| text(toleration, field).is_empty();
    (any("effect") || same("effect"))
        && match text(toleration, "operator") {
            "Exists" => any("key") || same("key"),
            _ => same("key") && same("value"),
        }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Excluded, excluded};

    #[test]
    fn selectors_affinity_and_taints_decide() {
        let node = json!({
            "metadata": { "name": "n1", "labels": { "os": "linux", "pool": "a", "cpus": "8" } },
            "spec": { "taints": [
                { "key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule" },
                { "key": "gpu", "value": "yes", "effect": "NoSchedule" },
                { "key": "soft", "effect": "PreferNoSchedule" },
            ] },
        });
        let affinity = |key: &str, operator: &str, values: &[&str]| {
            let requirement = json!({ "key": key, "operator": operator, "values": values });
            json!({ "tolerations": [{ "operator": "Exists" }], "affinity": { "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{}, { "matchExpressions": [requirement] }],
                },
            } } })
        };
        let all = json!({ "nodeSelector": { "os": "linux" }, "tolerations": [{ "operator": "Exists" }] });
        assert_eq!(excluded(&all, &node), None);
        for (key, operator, values, fits) in [
            ("pool", "In", &["a", "b"][..], true),
            ("pool", "NotIn", &["a"], false),
            ("pool", "DoesNotExist", &[], false),
            ("other", "DoesNotExist", &[], true),
            ("other", "NotIn", &["a"], true),
            ("other", "In", &["a"], false),
            ("cpus", "Gt", &["4"], true),
            ("cpus", "Lt", &["8"], false),
        ] {
            let expected = (!fits).then_some(Excluded::Affinity);
            assert_eq!(excluded(&affinity(key, operator, values), &node), expected, "{key} {operator}");
        }
        let selector = json!({ "nodeSelector": { "pool": "b" } });
        assert_eq!(excluded(&selector, &node), Some(Excluded::Selector("pool".into(), "b".into())));
        let taint = Some(Excluded::Taint("gpu=yes:NoSchedule".into()));
        assert_eq!(excluded(&json!({}), &node), taint);
        let tolerating = json!({ "tolerations": [{ "key": "gpu", "value": "yes", "effect": "NoSchedule" }] });
        assert_eq!(excluded(&tolerating, &node), None);
        let other = json!({ "tolerations": [{ "key": "gpu", "value": "no" }, { "key": "tpu", "operator": "Exists" }] });
        assert_eq!(excluded(&other, &node), taint);
    }
}
