//! Whether kubelet sends the tokens along that the classes need.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::agents::provider_name;
use super::classes::{audience, provider};
use super::command::merge_patch;
use super::driver::helm_set;
use super::object::{items, text};
use super::report::DoctorReport;
use super::rights::{has, minting};
use super::view::{ClusterView, DRIVER};

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
    audiences.extend(served.filter_map(audience));
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
    let first = requests.len();
    let values = missing.iter().enumerate();
    let values: Vec<String> =
        values.map(|(n, audience)| format!("tokenRequests[{}].audience={audience}", first + n)).collect();
    if let Some(command) = helm_set(object, &values) {
        return command;
    }
    requests.extend(missing.iter().map(|audience| json!({ "audience": audience })));
    let patch = json!({ "spec": { "tokenRequests": requests } });
    merge_patch(&format!("csidriver/{DRIVER}"), None, &patch)
}
