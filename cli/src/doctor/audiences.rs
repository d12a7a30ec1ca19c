//! Whether kubelet sends the tokens along that the classes need.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::agents::provider_name;
use super::classes::{audience, provider};
use super::command::merge_patch;
use super::driver_chart::helm_set;
use super::needs::minting;
use super::object::{items, text};
use super::report::DoctorReport;
use super::rights::has;
use super::view::{ClusterView, DRIVER};

/// How the audiences begin that most clusters have for kube-apiserver. No class gets a token for one,
/// and nobody should request it.
const CLUSTERS: &str = "https://kubernetes.default";

/// Adds whether the CSIDriver object asks for the audiences that agents and classes need.
pub(super) async fn examine(view: &ClusterView, object: &Value, report: &mut DoctorReport) {
    let requested = requested(object);
    let needed = needed(view);
    let missing: Vec<&String> = needed.difference(&requested).collect();
    if view.agents.is_empty() {
        return;
    }
    if missing.is_empty() {
        let audiences: Vec<&str> = needed.iter().map(String::as_str).collect();
        return report
            .ok("driver.tokens", format!("kubelet sends tokens for {} along", audiences.join(", ")));
    }
    let missing: Vec<&str> = missing.into_iter().map(String::as_str).collect();
    let message = format!("CSIDriver {DRIVER} has no tokenRequests for {}", missing.join(", "));
    let command = added(object, &missing);
    match mint_all(view).await {
        Ok(true) => {
            let effect =
                "coffer-csi mints these tokens itself, for which it may be any account of the cluster";
            report.warning("driver.tokens", format!("{message}: {effect}"), command);
        }
        Ok(false) => {
            report.error("driver.tokens", format!("{message}, and coffer-csi may not mint tokens"), command);
        }
        Err(unseen) => report.unknown("driver.tokens", format!("{message}; {unseen}")),
    }
}

/// Returns the audiences for which kubelet sends tokens along.
fn requested(object: &Value) -> BTreeSet<String> {
    let requests = items(&object["spec"]["tokenRequests"]).iter();
    requests.map(|request| text(request, "audience").to_owned()).collect()
}

/// Returns the audiences that agents and their classes need.
fn needed(view: &ClusterView) -> BTreeSet<String> {
    let providers: BTreeSet<String> = view.agents.iter().filter_map(provider_name).collect();
    let mut audiences: BTreeSet<String> = providers.iter().map(|name| usual(name).to_owned()).collect();
    let classes = view.classes.iter().flatten().flatten();
    let served = classes.filter(|class| providers.contains(&provider(class)));
    audiences.extend(served.filter_map(audience).filter(|audience| !audience.starts_with(CLUSTERS)));
    audiences
}

/// Returns the audience of tokens for classes that name none.
pub(super) fn usual(provider: &str) -> &'static str {
    if provider == "openbao" { "openbao" } else { "vault" }
}

async fn mint_all(view: &ClusterView) -> super::view::Seen<bool> {
    for agent in &view.agents {
        if !has(view, agent, &minting(None)).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the command that adds audiences to those that are there.
fn added(object: &Value, missing: &[&str]) -> String {
    let mut requests = items(&object["spec"]["tokenRequests"]).to_vec();
    requests.extend(missing.iter().map(|audience| json!({ "audience": audience })));
    // as JSON: an audience that a class names must not set other values of the chart
    let set = format!("--set-json=tokenRequests={}", json!(requests));
    let patch = json!({ "spec": { "tokenRequests": requests } });
    helm_set(object, &set).unwrap_or_else(|| merge_patch(&format!("csidriver/{DRIVER}"), None, &patch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::added;

    #[test]
    fn an_audience_sets_nothing_else() {
        let requests = json!([{ "audience": "vault", "expirationSeconds": 600 }]);
        let plain = json!({ "spec": { "tokenRequests": requests } });
        let audience = "x,linux.image.repository=evil'; reboot";
        let expected = r#"[{"audience":"vault","expirationSeconds":600},{"audience":"x,linux.image.repository=evil'\''; reboot"}]"#;
        assert_eq!(
            added(&plain, &[audience]),
            format!(
                r#"kubectl patch csidriver/secrets-store.csi.k8s.io --type=merge --patch '{{"spec":{{"tokenRequests":{expected}}}}}'"#
            )
        );
        let mut released = plain.clone();
        released["metadata"] = json!({
            "labels": { "helm.sh/chart": "secrets-store-csi-driver-1.6.0" },
            "annotations": { "meta.helm.sh/release-name": "csi", "meta.helm.sh/release-namespace": "kube-system" },
        });
        let command = added(&released, &[audience]);
        assert!(command.starts_with("helm upgrade csi secrets-store-csi-driver --repo "), "{command}");
        let set = format!("--reuse-values --version=1.6.0 '--set-json=tokenRequests={expected}'");
        assert!(command.ends_with(&set), "{command}");
    }
}
