//! The programs of an installation, run as processes of this machine, with the arguments,
//! environment and service account of the Deployment or DaemonSet in the cluster.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::cluster::Cluster;
use crate::binaries::coffer_binary;
use crate::ports::free_port;
use crate::process::Process;
use crate::provider::{Csi, CsiOptions};

/// The API server's only pod. The installed Service points to this machine.
#[derive(Debug)]
pub struct InstalledApi {
    process: Process,
    _dir: TempDir,
}

/// The arguments of the process.
#[derive(Clone, Copy, Debug)]
pub struct RunArguments<'a> {
    /// The Deployment's arguments, without the port.
    pub arguments: &'a [String],
    /// The kubeconfig of the Deployment's service account.
    pub kubeconfig: &'a Path,
}

impl InstalledApi {
    /// Starts the API server of a Deployment, with another Vault, and points the Service of the
    /// same name to it.
    ///
    /// # Panics
    /// If there is no such Deployment.
    pub async fn start(cluster: &Cluster, namespace: &str, name: &str, vault: &str) -> Self {
        let command = |run: RunArguments<'_>| {
            let mut command = Command::new(coffer_binary("coffer-api-server"));
            command
                .env_clear()
                .env("KUBECONFIG", run.kubeconfig)
                .env("VAULT_ADDR", vault)
                .args(run.arguments);
            Process::start("coffer-api-server", &mut command, run.kubeconfig.with_extension("log"))
        };
        Self::start_by(cluster, namespace, name, command).await
    }

    /// Does the same as [`Self::start`], with a process that `start` starts.
    ///
    /// # Panics
    /// If there is no such Deployment.
    pub async fn start_by(
        cluster: &Cluster,
        namespace: &str,
        name: &str,
        start: impl FnOnce(RunArguments<'_>) -> Process,
    ) -> Self {
        let container = WorkloadContainer::of(cluster, "deployment", namespace, name).await;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let kubeconfig = dir.path().join("kubeconfig");
        cluster.account_kubeconfig(namespace, &container.account).await.write(&kubeconfig);
        let port = free_port();
        let mut arguments = container.args_without(&["--listen"]);
        arguments.extend([format!("--listen=127.0.0.1:{port}"), "--shutdown-delay=0s".to_owned()]);
        let process = start(RunArguments { arguments: &arguments, kubeconfig: &kubeconfig });
        lead_here(cluster, namespace, name, port).await;
        Self { process, _dir: dir }
    }

    /// Returns everything logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Returns whether the process has not ended.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }
}

/// Returns the options that start coffer-csi as the DaemonSet does, with its socket and state in
/// `dir`, which is on tmpfs, and another Vault.
///
/// # Panics
/// If there is no such DaemonSet.
pub async fn installed_csi(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    dir: &Path,
    vault: &str,
) -> CsiOptions {
    let container = WorkloadContainer::of(cluster, "daemonset", namespace, name).await;
    let kubeconfig = dir.join("kubeconfig");
    cluster.account_kubeconfig(namespace, &container.account).await.write(&kubeconfig);
    let socket = container.arg("--endpoint=/provider/").expect("an endpoint");
    let options = Csi::options()
        .socket(&dir.join(socket))
        .key_in_cluster()
        .env("KUBECONFIG", kubeconfig)
        .env("NODE_NAME", "node")
        .env("VAULT_ADDR", vault);
    let arguments = container.args_without(&["--endpoint", "--health-addr", "--state-dir"]);
    let options = match container.arg("--state-dir=") {
        Some(_) => options.flag(format!("--state-dir={}", dir.join("state").display())),
        None => options,
    };
    arguments.into_iter().fold(options, CsiOptions::flag)
}

/// The first container of a Deployment or DaemonSet.
struct WorkloadContainer {
    arguments: Vec<String>,
    account: String,
}

impl WorkloadContainer {
    async fn of(cluster: &Cluster, kind: &str, namespace: &str, name: &str) -> Self {
        let shown = cluster.kubectl().run(["get", kind, name, "-n", namespace, "-o", "json"]).await;
        let object: Value = serde_json::from_str(&shown).expect("an object");
        let pod = &object["spec"]["template"]["spec"];
        let arguments = serde_json::from_value(pod["containers"][0]["args"].clone()).expect("arguments");
        let account = pod["serviceAccountName"].as_str().expect("a service account").to_owned();
        Self { arguments, account }
    }

    /// Returns the rest of the argument that begins with `beginning`.
    fn arg(&self, beginning: &str) -> Option<&str> {
        self.arguments.iter().find_map(|argument| argument.strip_prefix(beginning))
    }

    /// Returns the arguments without those flags, whose values are paths and ports of the pod.
    fn args_without(&self, flags: &[&str]) -> Vec<String> {
        let dropped = |argument: &str| flags.iter().any(|flag| argument.starts_with(&format!("{flag}=")));
        self.arguments.iter().filter(|argument| !dropped(argument)).cloned().collect()
    }
}

/// Points the Service and the APIService to a port of this machine: pods have no addresses here.
async fn lead_here(cluster: &Cluster, namespace: &str, name: &str, port: u16) {
    let kubectl = cluster.kubectl();
    let spec = json!({
        "type": "ExternalName", "externalName": "localhost",
        "clusterIP": null, "clusterIPs": null, "selector": null,
    });
    let patch = format!("--patch={}", json!({ "spec": spec }));
    kubectl.run(["patch", "service", name, "-n", namespace, "--type=merge", &patch]).await;
    let patch = format!("--patch={}", json!({ "spec": { "service": { "port": port } } }));
    kubectl.run(["patch", "apiservice", "v1alpha1.custom.secrets.k8s.io", "--type=merge", &patch]).await;
}
