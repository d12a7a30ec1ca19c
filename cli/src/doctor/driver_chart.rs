//! The chart of the Secrets Store CSI driver.

use serde_json::Value;

use super::command::command;
use super::object::label;
use super::workload::release;

/// Where the driver's chart is.
const CHARTS: &str = "https://kubernetes-sigs.github.io/secrets-store-csi-driver/charts";

/// Returns the command that sets a value of the driver's chart by a flag of Helm, if the object belongs to a release of
/// it.
pub(super) fn helm_set(object: &Value, set: &str) -> Option<String> {
    let (release, namespace) = release(object)?;
    let version = label(object, "helm.sh/chart").strip_prefix("secrets-store-csi-driver-");
    let version = version.map(|version| format!("--version={version}"));
    let words = ["helm", "upgrade", release, "secrets-store-csi-driver", "--repo", CHARTS];
    let words = words.into_iter().chain(["--namespace", namespace, "--reuse-values"]);
    Some(command(words.chain(version.as_deref()).chain([set])))
}

/// Returns the command that installs the driver.
pub(super) fn install() -> String {
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
