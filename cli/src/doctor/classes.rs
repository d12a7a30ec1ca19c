//! The SecretProviderClasses of the cluster: who serves them, and whether they can be read.

use std::collections::{BTreeMap, BTreeSet};

use coffer_provider::Settings;
use coffer_provider::class::Class;
use coffer_provider::settings::TrustedAddresses;
use serde_json::{Value, json};

use super::agents::provider_name;
use super::command::{command, merge_patch, named};
use super::needs::minting;
use super::object::{full_name, name, namespace, text};
use super::report::DoctorReport;
use super::right::granted;
use super::rights::has;
use super::view::ClusterView;
use crate::manifest::class::ClassManifest;

/// The providers that Coffer can stand in for.
const PROVIDERS: [&str; 2] = ["openbao", "vault"];

/// Names the service account that users of the API read a class as.
const READ_AS: &str = "custom.secrets.k8s.io/service-account";

/// Adds what is found of the classes.
pub(super) async fn examine(view: &ClusterView, report: &mut DoctorReport) {
    let classes = match &view.classes {
        Err(unseen) => return report.unknown("classes.valid", unseen.to_string()),
        // said of the driver already
        Ok(None) => return,
        Ok(Some(classes)) => classes,
    };
    let own: Vec<&Value> =
        classes.iter().filter(|class| PROVIDERS.contains(&provider(class).as_str())).collect();
    examine_mistakes(&own, report);
    examine_providers(view, &own, report);
    examine_minting(view, &own, report).await;
}

/// Returns the class as the manifest has it.
pub(super) fn manifest(class: &Value) -> ClassManifest {
    let parameters = class["spec"]["parameters"].as_object().into_iter().flatten();
    let parameters = parameters.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    ClassManifest {
        name: name(class).to_owned(),
        namespace: Some(namespace(class).to_owned()),
        provider: provider(class),
        parameters: parameters.collect(),
    }
}

/// Returns the provider that a class is for.
pub(super) fn provider(class: &Value) -> String {
    text(&class["spec"], "provider").to_owned()
}

/// Returns the audience that a class names.
pub(super) fn audience(class: &Value) -> Option<String> {
    manifest(class).audience().map(str::to_owned)
}

/// Adds the classes in which `coffer check` finds mistakes.
fn examine_mistakes(classes: &[&Value], report: &mut DoctorReport) {
    // which addresses the operator trusts is for coffer-csi to say
    let settings = Settings { trusted_addresses: TrustedAddresses::All, ..Settings::default() };
    let has_mistake = |class: &&&Value| {
        !Class::examine(&manifest(class).parameters, &settings).findings.mistakes.is_empty()
    };
    let wrong: Vec<String> = classes.iter().filter(has_mistake).map(|class| full_name(class)).collect();
    if wrong.is_empty() {
        return report.ok("classes.valid", format!("no class has a mistake ({})", classes.len()));
    }
    let message = format!("classes with mistakes: {}", named(&wrong));
    report.error("classes.valid", message, "coffer check --cluster --all-namespaces".to_owned());
}

/// Adds the classes for a provider that nobody serves.
fn examine_providers(view: &ClusterView, classes: &[&Value], report: &mut DoctorReport) {
    if view.agents.is_empty() || view.everywhere.is_err() {
        return;
    }
    let served: BTreeSet<String> = view.agents.iter().chain(&view.others).filter_map(provider_name).collect();
    let own: Vec<String> = view.agents.iter().filter_map(provider_name).collect();
    let mut unserved: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for class in classes.iter().filter(|class| !served.contains(&provider(class))) {
        unserved.entry(provider(class)).or_default().push(class);
    }
    for (provider, classes) in &unserved {
        let names: Vec<String> = classes.iter().map(|class| full_name(class)).collect();
        let message = format!(
            "classes are for provider {provider}, which nobody serves, coffer-csi serves {}: {}",
            own.join(", "),
            named(&names)
        );
        let patch = json!({ "spec": { "provider": own.first() } });
        let patched = classes.iter().map(|class| {
            merge_patch(&format!("secretproviderclass/{}", name(class)), Some(namespace(class)), &patch)
        });
        report.error("classes.provider", message, patched.collect::<Vec<_>>().join(" && "));
    }
    if unserved.is_empty() {
        report.ok("classes.provider", format!("every class is served: {}", own.join(", ")));
    }
}

/// Adds the namespaces whose classes are offered by the API, and where the server may not log in.
async fn examine_minting(view: &ClusterView, classes: &[&Value], report: &mut DoctorReport) {
    let offers = |class: &&&Value| !text(&class["metadata"]["annotations"], READ_AS).is_empty();
    let namespaces: BTreeSet<&str> = classes.iter().filter(offers).map(|class| namespace(class)).collect();
    let Some(server) = view.api_servers.first() else { return };
    for namespace in namespaces {
        let right = minting(Some(namespace));
        match has(view, server, &right).await {
            Ok(true) => report.ok("classes.api", format!("the API may log in for namespace {namespace}")),
            Ok(false) => {
                let message = format!(
                    "classes of namespace {namespace} have the annotation {READ_AS}, but {} may not mint \
                     tokens there. Bind the role if the namespace's owner agrees",
                    server.title()
                );
                report.warning("classes.api", message, granted(server, &right));
            }
            Err(unseen) => report.unknown("classes.api", unseen.to_string()),
        }
    }
}

/// Returns the command that shows what a class would read from Vault.
pub(super) fn checked_live(namespace: &str, account: &str) -> String {
    let account = format!("--service-account={account}");
    command(["coffer", "check", "--cluster", "--namespace", namespace, "--live", &account])
}
