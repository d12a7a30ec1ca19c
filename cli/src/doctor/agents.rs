//! coffer-csi: is it there, ready on every node with the driver, of one version, and alone on its
//! socket.

use serde_json::Value;

use super::command::{command, named};
use super::nodes::{images, share_a_node, unserved, with_driver};
use super::object::{name, text};
use super::report::DoctorReport;
use super::view::ClusterView;
use super::workload::{Workload, version_of};

/// The version of this program.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Adds what is found of the agents, and of the API server's version.
pub(super) async fn examine(view: &ClusterView, report: &mut DoctorReport) {
    if view.agents.is_empty() {
        return match &view.workloads {
            Err(unseen) => report.unknown("agents.installed", unseen.to_string()),
            Ok(()) if view.api_servers.is_empty() => {
                let place = if view.is_narrowed { " in the chosen namespaces" } else { "" };
                let message = format!("coffer-csi is not installed{place}");
                report.error("agents.installed", message, install());
            }
            Ok(()) => {
                let message = "coffer-csi is not installed, only coffer-api-server: no pod can mount";
                report.warning("agents.installed", message, install());
            }
        };
    }
    let titles: Vec<String> = view.agents.iter().map(Workload::title).collect();
    report.ok("agents.installed", format!("coffer-csi is installed: {}", titles.join(", ")));
    let pods = view.pods_of(&view.agents).await;
    match &pods {
        Err(unseen) => report.unknown("agents.nodes", unseen.to_string()),
        Ok(pods) => {
            examine_nodes(view, pods, report);
            examine_neighbours(view, pods, report);
        }
    }
    examine_versions(view, &pods.unwrap_or_default(), report);
    examine_sockets(view, report);
}

/// Returns the name of the provider that an agent serves: that of its socket.
pub(super) fn provider_name(agent: &Workload) -> Option<String> {
    let (_, socket) =
        endpoint(agent).rsplit_once('/').map(|(dir, file)| (dir.to_owned(), file.to_owned()))?;
    socket.strip_suffix(".sock").map(str::to_owned)
}

/// Returns the directory on the node in which an agent makes its socket.
pub(super) fn socket_directory(agent: &Workload) -> Option<String> {
    let socket = agent.host_path(&endpoint(agent))?;
    socket.rsplit_once('/').map(|(directory, _)| directory.to_owned())
}

fn endpoint(agent: &Workload) -> String {
    let endpoint = agent.flag("endpoint").unwrap_or_else(|| "/tmp/vault.sock".to_owned());
    endpoint.strip_prefix("unix://").map(str::to_owned).unwrap_or(endpoint)
}

fn install() -> String {
    "helm install coffer charts/coffer --namespace coffer --create-namespace \
     --set=vault.address=https://vault.example.com:8200"
        .to_owned()
}

fn examine_nodes(view: &ClusterView, pods: &[Value], report: &mut DoctorReport) {
    let nodes = match &view.nodes {
        Ok(nodes) => nodes,
        Err(unseen) => return examine_counts(view, &unseen.to_string(), report),
    };
    let nodes = with_driver(nodes, view.registered.as_ref().ok());
    let unserved = unserved(&view.agents, pods, &nodes);
    for unserved in &unserved {
        report.error("agents.nodes", unserved.message("coffer-csi"), unserved.command.clone());
    }
    if unserved.is_empty() {
        report.ok(
            "agents.nodes",
            format!("coffer-csi is ready on all nodes with the driver ({})", nodes.len()),
        );
    }
}

/// Adds the numbers in the DaemonSets' status, for a user who does not see the nodes.
fn examine_counts(view: &ClusterView, unseen: &str, report: &mut DoctorReport) {
    let number = |agent: &Workload, field: &str| agent.object["status"][field].as_u64().unwrap_or_default();
    for agent in &view.agents {
        let (ready, wanted) = (number(agent, "numberReady"), number(agent, "desiredNumberScheduled"));
        let message = format!("{} is ready on {ready} of {wanted} nodes; {unseen}", agent.title());
        report.unknown("agents.nodes", message);
    }
}

/// Adds pods of other accounts in the agents' namespaces: who may make Secrets there can have a token
/// of any account of the namespace.
fn examine_neighbours(view: &ClusterView, pods: &[Value], report: &mut DoctorReport) {
    for agent in &view.agents {
        let namespace = agent.namespace();
        if let Some(server) = view.api_servers.iter().find(|server| server.namespace() == namespace) {
            let message = format!(
                "{} is in the namespace of {}, which then can be the server",
                server.title(),
                agent.title()
            );
            let moved = "helm upgrade --install coffer charts/coffer --namespace coffer --reuse-values \
                         --set=apiServer.namespace=coffer-api";
            report.error("agents.namespace", message, moved.to_owned());
        }
        let is_stranger = |pod: &&Value| {
            let account = text(&pod["spec"], "serviceAccountName");
            text(&pod["metadata"], "namespace") == namespace
                && !view.agents.iter().chain(&view.api_servers).any(|own| own.account() == account)
        };
        let strangers: Vec<&str> = pods.iter().filter(is_stranger).map(name).collect();
        if !strangers.is_empty() {
            let message = format!(
                "namespace {namespace} is not coffer-csi's alone: {}. coffer-csi may make Secrets there, \
                 and so be any of its accounts",
                named(&strangers)
            );
            let columns = "--output=custom-columns=POD:metadata.name,ACCOUNT:spec.serviceAccountName";
            let shown = command(["kubectl", "get", "pods", "--namespace", namespace, columns]);
            report.warning("agents.namespace", message, shown);
        }
    }
    if !report.has_fault("agents.namespace") {
        report.ok("agents.namespace", "coffer-csi has its namespace for itself");
    }
}

/// Compares the versions of all programs with each other and with this tool's.
fn examine_versions(view: &ClusterView, pods: &[Value], report: &mut DoctorReport) {
    for workload in view.agents.iter().chain(&view.api_servers) {
        let title = workload.title();
        let images = images(workload, pods);
        let old: Vec<&str> = images.into_iter().filter(|image| *image != workload.image()).collect();
        if !old.is_empty() {
            let message = format!("pods of {title} still run {}, not {}", named(&old), workload.image());
            report.warning("agents.version", message, renewed(workload));
        }
        match workload.version() {
            None => report.ok("agents.version", format!("{title}, a version without a number")),
            Some(version) if version == OWN_VERSION => {}
            Some(version) => {
                let message = format!("{title} has version {version}, this tool {OWN_VERSION}");
                report.warning("agents.version", message, upgraded(workload));
            }
        }
    }
    if !report.has_fault("agents.version") {
        report.ok("agents.version", format!("every program has this tool's version, {OWN_VERSION}"));
    }
}

/// Returns the command that gives pods the image of the template, or waits until they have it.
fn renewed(workload: &Workload) -> String {
    let (argument, namespace) = (workload.argument(), workload.namespace());
    let is_manual = text(&workload.object["spec"]["updateStrategy"], "type") == "OnDelete";
    if is_manual {
        let selector = super::nodes::selector_of(workload);
        return command(["kubectl", "delete", "pods", "--namespace", namespace, "--selector", &selector]);
    }
    command(["kubectl", "rollout", "status", &argument, "--namespace", namespace])
}

fn upgraded(workload: &Workload) -> String {
    if let Some((release, namespace)) = workload.release() {
        let words = ["helm", "upgrade", release, "charts/coffer", "--namespace", namespace, "--reuse-values"];
        return command(words);
    }
    let image = workload.image();
    let path = version_of(image).and_then(|_| image.rsplit_once(':')).map_or(image, |(path, _)| path);
    let image = format!("{}={path}:{OWN_VERSION}", workload.container_name());
    command(["kubectl", "set", "image", &workload.argument(), "--namespace", workload.namespace(), &image])
}

/// Adds other DaemonSets that make the same socket on a node.
fn examine_sockets(view: &ClusterView, report: &mut DoctorReport) {
    if let Err(unseen) = &view.everywhere {
        return report.unknown("agents.socket", unseen.to_string());
    }
    // without the nodes, every two may meet
    let meet = |one: &Workload, other: &Workload| {
        view.nodes.as_ref().map_or(true, |nodes| share_a_node(one, other, nodes))
    };
    let socket = |workload: &Workload| Some((socket_directory(workload)?, provider_name(workload)?));
    for (n, agent) in view.agents.iter().enumerate() {
        let Some(own) = socket(agent) else { continue };
        for other in view.agents[n + 1..].iter().chain(&view.others) {
            if socket(other) != Some(own.clone()) || !meet(agent, other) {
                continue;
            }
            let (directory, provider) = &own;
            let message = format!(
                "{} and {} both make the socket {directory}/{provider}.sock on one node: pods get now the one, \
                 now the other",
                agent.title(),
                other.title()
            );
            report.error("agents.socket", message, set_aside(other));
        }
        if let Some(other) = view.agents[n + 1..].iter().find(|it| shares_state(agent, it)) {
            let message = format!("{} and {} share the state directory", agent.title(), other.title());
            report.error("agents.socket", message, set_aside(other));
        }
    }
    if !report.has_fault("agents.socket") {
        report.ok("agents.socket", "nobody else makes the socket of coffer-csi");
    }
}

fn shares_state(one: &Workload, other: &Workload) -> bool {
    let state = |workload: &Workload| workload.host_path(&workload.flag("state-dir")?);
    state(one).is_some() && state(one) == state(other)
}

/// Returns the command that takes a DaemonSet's pods from all nodes, and that can be undone.
fn set_aside(workload: &Workload) -> String {
    if let Some((release, namespace)) = workload.release() {
        return command(["helm", "uninstall", release, "--namespace", namespace]);
    }
    let patch = serde_json::json!({ "spec": { "template": { "spec": {
        "nodeSelector": { "secrets-provider": "none" },
    } } } });
    super::command::merge_patch(&workload.argument(), Some(workload.namespace()), &patch)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{provider_name, socket_directory};
    use crate::doctor::workload::Workload;

    #[test]
    fn the_socket_is_found_however_the_flag_is_written() {
        for arguments in [
            json!(["-endpoint=/provider/openbao.sock"]),
            json!(["--endpoint", "/provider/openbao.sock"]),
            json!(["--endpoint=/elsewhere/vault.sock", "--endpoint=/provider/openbao.sock"]),
            json!(["--endpoint=unix:///provider/openbao.sock"]),
        ] {
            let agent = Workload::new(
                "daemonset",
                json!({ "spec": { "template": { "spec": {
                    "containers": [{ "name": "coffer-csi", "args": arguments,
                        "volumeMounts": [{ "name": "p", "mountPath": "/provider/" }] }],
                    "volumes": [{ "name": "p", "hostPath": { "path": "/var/run/providers/" } }],
                } } } }),
            );
            assert_eq!(provider_name(&agent).as_deref(), Some("openbao"));
            assert_eq!(socket_directory(&agent).as_deref(), Some("/var/run/providers"));
        }
    }
}
