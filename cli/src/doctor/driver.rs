//! The Secrets Store CSI driver: is it there, on every node, and does it rotate.

use serde_json::{Value, json};

use super::agents::socket_directory;
use super::audiences;
use super::command::{command, merge_patch, named};
use super::driver_chart::{helm_set, install};
use super::nodes::{logs, unserved};
use super::object::{items, name, text};
use super::report::{DoctorReport, DoctorStatus};
use super::view::{ClusterView, DRIVER};
use super::workload::Workload;

/// The oldest driver whose calls Coffer serves.
const OLDEST: (u32, u32) = (1, 3);

/// The first driver that leaves rotation to kubelet.
const ROTATES_BY_KUBELET: (u32, u32) = (1, 6);

/// Directories in which a driver looks for providers that is started without flags.
const USUAL_DIRECTORIES: [&str; 2] =
    ["/var/run/secrets-store-csi-providers", "/etc/kubernetes/secrets-store-csi-providers"];

/// Adds what is found of the driver.
pub(super) async fn examine(view: &ClusterView, report: &mut DoctorReport) {
    match &view.csi_driver {
        Err(unseen) => report.unknown("driver.object", unseen.to_string()),
        Ok(None) => {
            let message = format!("the cluster has no CSIDriver {DRIVER}: the driver is not installed");
            report.error("driver.object", message, install());
        }
        Ok(Some(object)) => examine_object(object, report),
    }
    if matches!(view.classes, Ok(None)) {
        let message = "the cluster has no kind SecretProviderClass: the driver's CRDs are not installed";
        report.error("driver.classes", message, install());
    }
    examine_daemonsets(view, report);
    examine_nodes(view, report).await;
    if let Ok(Some(object)) = &view.csi_driver {
        audiences::examine(view, object, report).await;
        examine_rotation(view, object, report);
    }
    examine_directories(view, report);
}

fn examine_object(object: &Value, report: &mut DoctorReport) {
    if object["spec"]["podInfoOnMount"] == true {
        return report.ok("driver.object", format!("CSIDriver {DRIVER} is there"));
    }
    let message =
        format!("CSIDriver {DRIVER} has no podInfoOnMount: the driver does not learn whose pod it is");
    let patch = json!({ "spec": { "podInfoOnMount": true } });
    report.error("driver.object", message, merge_patch(&format!("csidriver/{DRIVER}"), None, &patch));
}

fn examine_daemonsets(view: &ClusterView, report: &mut DoctorReport) {
    if let (Err(unseen), true) = (&view.everywhere, view.drivers.is_empty()) {
        return report.unknown("driver.version", unseen.to_string());
    }
    if view.drivers.is_empty() && matches!(view.csi_driver, Ok(Some(_))) {
        let message = "no DaemonSet of the driver is found: nobody answers kubelet on the nodes";
        report.error("driver.version", message, install());
    }
    for driver in &view.drivers {
        let title = driver.title();
        match driver.version() {
            None => report.ok("driver.version", format!("{title}, a version without a number")),
            Some(version) if is_older(version, OLDEST) => {
                let message = format!("{title} has version {version}: Coffer serves drivers from 1.3 on");
                let upgrade = helm_set(&driver.object, "--set=linux.image.tag=v1.6.0");
                let image =
                    format!("{}=registry.k8s.io/csi-secrets-store/driver:v1.6.0", driver.container_name());
                let set = [
                    "kubectl",
                    "set",
                    "image",
                    &driver.argument(),
                    "--namespace",
                    driver.namespace(),
                    &image,
                ];
                report.error("driver.version", message, upgrade.unwrap_or_else(|| command(set)));
            }
            Some(version) => report.ok("driver.version", format!("{title} has version {version}")),
        }
    }
}

/// Adds the nodes on which kubelet does not know the driver.
async fn examine_nodes(view: &ClusterView, report: &mut DoctorReport) {
    let (nodes, registered) = match (&view.nodes, &view.registered) {
        (Ok(nodes), Ok(registered)) => (nodes, registered),
        (Err(unseen), _) | (_, Err(unseen)) => return report.unknown("driver.nodes", unseen.to_string()),
    };
    let without: Vec<&Value> = nodes.iter().filter(|node| !registered.contains(name(node))).collect();
    if view.drivers.is_empty() {
        return;
    }
    if without.is_empty() {
        return report.ok("driver.nodes", format!("the driver is registered on all nodes ({})", nodes.len()));
    }
    let pods = match view.pods_of(&view.drivers).await {
        Ok(pods) => pods,
        Err(unseen) => return report.unknown("driver.nodes", unseen.to_string()),
    };
    let unserved = unserved(&view.drivers, &pods, &without);
    let is_explained = |node: &&Value| unserved.iter().any(|it| it.nodes.iter().any(|it| it == name(node)));
    let unexplained: Vec<&str> =
        without.iter().filter(|node| !is_explained(node)).map(|it| name(it)).collect();
    for unserved in &unserved {
        let status = if unserved.is_left_out { DoctorStatus::Warning } else { DoctorStatus::Error };
        let command = unserved.command.clone();
        report.add("driver.nodes", status, unserved.message("the driver"), Some(command));
    }
    if !unexplained.is_empty() {
        let message =
            format!("kubelet does not know the driver on {}, though its pod is ready", named(&unexplained));
        report.error("driver.nodes", message, logs(&view.drivers[0]));
    }
}

fn examine_rotation(view: &ClusterView, object: &Value, report: &mut DoctorReport) {
    for driver in &view.drivers {
        let title = driver.title();
        if driver.flag("enable-secret-rotation").is_none_or(|value| value != "true") {
            let message = format!("rotation is off in {title}: files stay as they were at the pod's start");
            let upgrade = helm_set(&driver.object, "--set=enableSecretRotation=true");
            let command = upgrade.unwrap_or_else(|| driver.set_flag("enable-secret-rotation", "true"));
            report.warning("driver.rotation", message, command);
        } else if object["spec"]["requiresRepublish"] != true
            && !driver.version().is_some_and(|version| is_older(version, ROTATES_BY_KUBELET))
        {
            let message = format!(
                "CSIDriver {DRIVER} has no requiresRepublish: kubelet does not ask {title} to rotate, and \
                 files stay as they were at the pod's start"
            );
            let patch = json!({ "spec": { "requiresRepublish": true } });
            report.warning(
                "driver.rotation",
                message,
                merge_patch(&format!("csidriver/{DRIVER}"), None, &patch),
            );
        } else {
            let interval = driver.flag("rotation-poll-interval").unwrap_or_else(|| "2m".to_owned());
            report.ok("driver.rotation", format!("files are rotated every {interval}"));
        }
    }
}

/// Compares the directories in which the driver looks for sockets with those of the agents.
fn examine_directories(view: &ClusterView, report: &mut DoctorReport) {
    for (driver, agent) in
        view.drivers.iter().flat_map(|driver| view.agents.iter().map(move |it| (driver, it)))
    {
        let looked_into = provider_directories(driver);
        let title = agent.title();
        match socket_directory(agent) {
            None => {
                let message = format!("the socket of {title} is in no directory of the node");
                report.error("driver.socket", message, agent.restored(|| shown(agent)));
            }
            Some(directory) if looked_into.contains(&directory) => {
                report.ok("driver.socket", format!("the driver finds the socket of {title} in {directory}"));
            }
            Some(directory) => {
                let message = format!(
                    "{title} makes its socket in {directory}, and the driver looks into {}",
                    looked_into.join(" and ")
                );
                let wanted = looked_into.first().map_or(USUAL_DIRECTORIES[0], String::as_str);
                report.error("driver.socket", message, moved(agent, &directory, wanted));
            }
        }
    }
}

fn shown(agent: &Workload) -> String {
    command(["kubectl", "get", &agent.argument(), "--namespace", agent.namespace(), "--output=yaml"])
}

/// Returns the command that gives the agent another directory of the node.
fn moved(agent: &Workload, directory: &str, wanted: &str) -> String {
    if let Some((release, namespace)) = agent.release() {
        let set = format!("--set=csi.providersDir={wanted}");
        let words = ["helm", "upgrade", release, "charts/coffer", "--namespace", namespace, "--reuse-values"];
        return command(words.into_iter().chain([set.as_str()]));
    }
    let volumes = items(&agent.pod()["volumes"]);
    let is_it = |volume: &Value| text(&volume["hostPath"], "path").trim_end_matches('/') == directory;
    let index = volumes.iter().position(is_it).unwrap_or_default();
    let path = format!("/spec/template/spec/volumes/{index}/hostPath/path");
    let patch = json!([{ "op": "replace", "path": path, "value": wanted }]);
    super::command::json_patch(&agent.argument(), Some(agent.namespace()), &patch)
}

/// Returns the directories of the node in which a driver looks for sockets.
fn provider_directories(driver: &Workload) -> Vec<String> {
    let first = driver.flag("provider-volume").unwrap_or_else(|| USUAL_DIRECTORIES[0].to_owned());
    let further = driver.flag("additional-provider-volume-paths");
    let further = further.unwrap_or_else(|| USUAL_DIRECTORIES[1].to_owned());
    let paths = std::iter::once(first.as_str()).chain(further.split(','));
    paths.filter_map(|path| driver.host_path(path.trim())).collect()
}

/// Tells whether a version is older than that one.
fn is_older(version: &str, than: (u32, u32)) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    matches!((parts.next(), parts.next()), (Some(Some(major)), Some(Some(minor))) if (major, minor) < than)
}
