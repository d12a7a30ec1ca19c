//! The Secrets Store CSI driver: is it there, on every node, and does it rotate.

use serde_json::{Value, json};

use super::agents::socket_directory;
use super::audiences;
use super::command::{command, merge_patch, named};
use super::nodes::{of_pod, unserved};
use super::object::{items, label, name, text};
use super::placement::excluded;
use super::report::{DoctorReport, DoctorStatus};
use super::view::{ClusterView, DRIVER};
use super::workload::{Workload, release};

/// The oldest driver whose calls Coffer serves.
const OLDEST: (u32, u32) = (1, 3);

/// The first driver that leaves rotation to kubelet.
const ROTATES_BY_KUBELET: (u32, u32) = (1, 6);

/// Where the driver's chart is.
const CHARTS: &str = "https://kubernetes-sigs.github.io/secrets-store-csi-driver/charts";

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

/// Returns the command that sets values of the driver's chart, if the object belongs to a release of
/// it.
pub(super) fn helm_set(object: &Value, values: &[String]) -> Option<String> {
    let (release, namespace) = release(object)?;
    let version = label(object, "helm.sh/chart").strip_prefix("secrets-store-csi-driver-");
    let version = version.map(|version| format!("--version={version}"));
    let values: Vec<String> = values.iter().map(|value| format!("--set={value}")).collect();
    let words = ["helm", "upgrade", release, "secrets-store-csi-driver", "--repo", CHARTS];
    let words = words.into_iter().chain(["--namespace", namespace, "--reuse-values"]);
    Some(command(words.chain(version.as_deref()).chain(values.iter().map(String::as_str))))
}

fn install() -> String {
    command([
        "helm",
        "install",
        "csi-secrets-store",
        "secrets-store-csi-driver",
        "--repo",
        CHARTS,
        "--namespace",
        "kube-system",
        "--set=enableSecretRotation=true",
        "--set=tokenRequests[0].audience=vault",
    ])
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
                let upgrade = helm_set(&driver.object, &["linux.image.tag=v1.6.0".to_owned()]);
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
    let mut pods = Vec::new();
    for driver in &view.drivers {
        match view.pods(driver.namespace()).await {
            Ok(found) => pods.extend(found),
            Err(unseen) => return report.unknown("driver.nodes", unseen.to_string()),
        }
    }
    let mut explained = 0;
    for unserved in unserved(&view.drivers, &pods, &without) {
        explained += unserved.nodes.len();
        // an operator may leave nodes out on purpose
        let is_meant = |node: &&&Value| view.drivers.iter().any(|it| excluded(it.pod(), node).is_none());
        let is_meant = without
            .iter()
            .filter(|node| unserved.nodes.iter().any(|it| it == name(node)))
            .any(|node| is_meant(&node));
        let status = if is_meant { DoctorStatus::Error } else { DoctorStatus::Warning };
        report.add("driver.nodes", status, unserved.message("the driver"), Some(unserved.command));
    }
    if explained == without.len() {
        return;
    }
    // its pod is ready there, and yet kubelet does not know it
    let names: Vec<&str> = without.iter().map(|node| name(node)).collect();
    for driver in &view.drivers {
        let Some(pod) =
            pods.iter().find(|pod| driver.owns(pod) && names.contains(&text(&pod["spec"], "nodeName")))
        else {
            continue;
        };
        let message =
            format!("kubelet does not know the driver on {}, though its pod is ready", named(&names));
        let (_, logs) = of_pod(pod, driver);
        report.error("driver.nodes", message, logs);
    }
}

fn examine_rotation(view: &ClusterView, object: &Value, report: &mut DoctorReport) {
    for driver in &view.drivers {
        let title = driver.title();
        if !driver.flag("enable-secret-rotation").is_some_and(|value| value == "true") {
            let message = format!("rotation is off in {title}: files stay as they were at the pod's start");
            let upgrade = helm_set(&driver.object, &["enableSecretRotation=true".to_owned()]);
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
