//! coffer-api-server: is the API available, and does it use the agents' key of the versions.

use serde_json::{Value, json};

use super::command::{command, merge_patch, named};
use super::needs::version_key;
use super::nodes::of_pod;
use super::object::{condition, has_condition, text};
use super::report::{DoctorReport, DoctorStatus};
use super::view::{API_SERVICE, ClusterView};
use super::workload::Workload;

/// The plain manifests of the API server.
const MANIFESTS: &str = "kubectl apply --filename deploy/api-server.yaml";

/// Adds what is found of the API server.
pub(super) async fn examine(view: &ClusterView, report: &mut DoctorReport) {
    for server in &view.api_servers {
        examine_replicas(view, server, report).await;
    }
    match &view.api_service {
        Err(unseen) => report.unknown("api.service", unseen.to_string()),
        Ok(None) => {
            if let Some(server) = view.api_servers.first() {
                let message =
                    format!("there is no APIService {API_SERVICE}: {} is never asked", server.title());
                report.error("api.service", message, server.restored(|| MANIFESTS.to_owned()));
            }
        }
        Ok(Some(object)) => examine_service(view, object, report),
    }
    examine_keys(view, report).await;
}

fn examine_service(view: &ClusterView, object: &Value, report: &mut DoctorReport) {
    let argument = format!("apiservice/{API_SERVICE}");
    let Some(server) = view.api_servers.first() else {
        if view.everywhere.is_ok() && !view.is_narrowed {
            let message = format!(
                "APIService {API_SERVICE} is there and coffer-api-server is not: namespaces cannot be deleted"
            );
            report.error("api.service", message, command(["kubectl", "delete", "apiservice", API_SERVICE]));
        }
        return;
    };
    let (service, spec) = (&object["spec"]["service"], &object["spec"]);
    let leads_to = (text(service, "namespace"), text(service, "name"));
    let wanted = server.flag("service").unwrap_or_else(|| "coffer-api-server".to_owned());
    if leads_to != (server.namespace(), wanted.as_str()) {
        let message = format!(
            "APIService {API_SERVICE} leads to Service {}/{}, not to that of {}",
            leads_to.0,
            leads_to.1,
            server.title()
        );
        let patch = json!({ "spec": { "service": { "namespace": server.namespace(), "name": wanted } } });
        return report.error("api.service", message, merge_patch(&argument, None, &patch));
    }
    // without a ready pod the rest follows
    if report.has_fault("api.replicas") && server.object["status"]["readyReplicas"].as_u64().is_none() {
        return;
    }
    if spec["insecureSkipTLSVerify"] == true {
        let message =
            format!("APIService {API_SERVICE} has insecureSkipTLSVerify: anybody can be the server");
        let patch = json!({ "spec": { "insecureSkipTLSVerify": null } });
        report.warning("api.service", message, merge_patch(&argument, None, &patch));
    } else if text(spec, "caBundle").is_empty() {
        let message =
            format!("APIService {API_SERVICE} has no caBundle: kube-apiserver trusts no certificate");
        report.error("api.service", message, restarted(server));
    }
    match condition(object, "Available") {
        Some(available) if text(available, "status") == "True" => {
            if !report.has_fault("api.service") {
                report.ok("api.service", format!("APIService {API_SERVICE} is available"));
            }
        }
        available => {
            let available = available.unwrap_or(&Value::Null);
            let (reason, why) = (text(available, "reason"), text(available, "message"));
            let message = format!("APIService {API_SERVICE} is not available: {reason}: {why}");
            let service = ["kubectl", "get", "service,endpointslices", "--namespace", server.namespace()];
            let command = match reason {
                "ServiceNotFound" | "ServicePortError" | "ServiceAccessError" => {
                    server.restored(|| MANIFESTS.to_owned())
                }
                "EndpointsNotFound" | "MissingEndpoints" | "EndpointsAccessError" => command(service),
                _ => logs(server),
            };
            report.error("api.service", message, command);
        }
    }
}

async fn examine_replicas(view: &ClusterView, server: &Workload, report: &mut DoctorReport) {
    let wanted = server.object["spec"]["replicas"].as_u64().unwrap_or(1);
    let ready = server.object["status"]["readyReplicas"].as_u64().unwrap_or_default();
    let title = server.title();
    if wanted == 0 {
        let scaled =
            ["kubectl", "scale", &server.argument(), "--namespace", server.namespace(), "--replicas=2"];
        return report.error("api.replicas", format!("{title} is scaled to 0"), command(scaled));
    }
    if ready >= wanted {
        return report.ok("api.replicas", format!("{title} is ready: {ready} of {wanted}"));
    }
    let pods = view.pods(server.namespace()).await.unwrap_or_default();
    let mut unready = pods.iter().filter(|pod| server.owns(pod) && !has_condition(pod, "Ready"));
    let (reason, shown) = match unready.next() {
        Some(pod) => of_pod(pod, server),
        None => {
            let shown = ["kubectl", "describe", &server.argument(), "--namespace", server.namespace()];
            ("it has no further pod".to_owned(), command(shown))
        }
    };
    let status = if ready == 0 { DoctorStatus::Error } else { DoctorStatus::Warning };
    let message = format!("{title} is ready: {ready} of {wanted}; {reason}");
    report.add("api.replicas", status, message, Some(shown));
}

fn logs(server: &Workload) -> String {
    command(["kubectl", "logs", &server.argument(), "--namespace", server.namespace(), "--tail=20"])
}

fn restarted(server: &Workload) -> String {
    command(["kubectl", "rollout", "restart", &server.argument(), "--namespace", server.namespace()])
}

/// Adds whether all programs have the same key of the versions. No byte of a key is shown.
async fn examine_keys(view: &ClusterView, report: &mut DoctorReport) {
    let mut found: Vec<(&Workload, String, String)> = Vec::new();
    for workload in view.agents.iter().chain(&view.api_servers) {
        if workload.flag("hmac-key-file").is_some() {
            continue;
        }
        let (namespace, secret) = (workload.namespace(), version_key(workload));
        match view.core_object(namespace, "secrets", &secret).await {
            Err(unseen) => return report.unknown("versions.key", unseen.to_string()),
            Ok(None) => {
                let message =
                    format!("Secret {namespace}/{secret} is not there yet: the first mount makes it");
                report.ok("versions.key", message);
            }
            Ok(Some(object)) => match text(&object["data"], "key") {
                "" => {
                    let message = format!("Secret {namespace}/{secret} has no key {:?}", "key");
                    let gone = ["kubectl", "delete", "secret", &secret, "--namespace", namespace];
                    report.error("versions.key", message, command(gone));
                }
                key => found.push((workload, secret, key.to_owned())),
            },
        }
    }
    compare_keys(&found, report);
}

fn compare_keys(found: &[(&Workload, String, String)], report: &mut DoctorReport) {
    let Some(((first, secret, key), rest)) = found.split_first() else { return };
    let mut same = vec![format!("{}/{secret}", first.namespace())];
    for (workload, other_secret, other) in rest {
        let title = format!("{}/{other_secret}", workload.namespace());
        if other == key {
            same.push(title);
            continue;
        }
        let message = format!(
            "Secret {title} has another key than {}: versions of the API differ from those of mounts",
            same[0]
        );
        report.warning("versions.key", message, copied((first, secret), (workload, other_secret)));
    }
    if !report.has_fault("versions.key") {
        report.ok("versions.key", format!("one key of the versions: {}", named(&same)));
    }
}

/// Returns the command that copies a key, and has the program read it.
fn copied((from, secret): (&Workload, &str), (to, other): (&Workload, &str)) -> String {
    let get = ["kubectl", "get", "secret", secret, "--namespace", from.namespace()];
    let get = command(get.into_iter().chain(["--output=jsonpath={.data.key}"]));
    let create = ["kubectl", "create", "secret", "generic", other, "--namespace", to.namespace()];
    let create = command(create.into_iter().chain([
        "--from-file=key=/dev/stdin",
        "--dry-run=client",
        "--output=yaml",
    ]));
    format!("{get} | base64 --decode | {create} | kubectl apply --filename - && {}", restarted(to))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::compare_keys;
    use crate::doctor::report::DoctorReport;
    use crate::doctor::workload::Workload;

    #[test]
    fn a_key_is_never_shown() {
        let at = |namespace: &str| {
            Workload::new("deployment", json!({ "metadata": { "namespace": namespace, "name": "x" } }))
        };
        let (one, other) = (at("coffer"), at("coffer-api"));
        let mut report = DoctorReport::default();
        let keys = [("c2VjcmV0", &one), ("b3RoZXI=", &other)];
        let found = keys.map(|(key, workload)| (workload, "hmac".to_owned(), key.to_owned()));
        compare_keys(&found, &mut report);
        let text = report.text() + &report.json();
        assert!(text.contains("Secret coffer-api/hmac has another key than coffer/hmac"), "{text}");
        assert!(!text.contains("c2Vj") && !text.contains("b3RoZ"), "{text}");
    }
}
