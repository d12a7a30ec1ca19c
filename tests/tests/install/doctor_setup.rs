//! An installation for `coffer doctor`: a real kube-apiserver with the driver's and Coffer's
//! objects, a real coffer-api-server and OpenBao. The test plays kubelet and the controllers: it makes nodes,
//! pods and their status.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use coffer_tests::kubernetes::{
    Cluster, ClusterOptions, ClusterWithVault, Helm, InstalledApi, Kubeconfig, KubernetesRole,
    kubectl_program, shipped_folder,
};
use coffer_tests::{OpenBao, Servers, coffer_binary, find_bao, until_true, workspace};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::doctor::message;

const NODES: [&str; 2] = ["n1", "n2"];

/// A whole installation.
pub(crate) struct DoctorSetup {
    pub(crate) bao: OpenBao,
    pub(crate) cluster: Cluster,
    _api: InstalledApi,
    tools: Tools,
}

/// A folder with the programs that commands name, and what they need.
pub(crate) struct Tools {
    dir: TempDir,
}

/// What a command printed, and its exit code.
#[derive(Debug)]
pub(crate) struct ShellOutput {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A report of the doctor.
#[derive(Debug)]
pub(crate) struct Examination {
    pub(crate) code: i32,
    report: Value,
}

impl DoctorSetup {
    /// Installs everything by the plain manifests.
    pub(crate) async fn start() -> Self {
        let (cluster, bao) = ClusterWithVault::without_nodes(ClusterOptions::default()).await;
        let tools = Tools::new(&cluster);
        install_driver(&tools, &cluster).await;
        let key = "secret generic vault-csi-provider-hmac-key --from-literal=key=the-key-of-the-versions";
        let set = format!("VAULT_ADDR={}", bao.address());
        for line in [
            format!("kubectl apply -k {}", shipped_folder().display()),
            format!("kubectl create {key} --namespace coffer && kubectl create {key} --namespace coffer-api"),
            format!("kubectl set env daemonset/coffer-csi --namespace coffer {set}"),
            format!("kubectl set env deployment/coffer-api-server --namespace coffer-api {set}"),
        ] {
            tools.shell(&line, bao.address()).await;
        }
        let api = InstalledApi::start(&cluster, "coffer-api", "coffer-api-server", bao.address()).await;
        let setup = Self { bao, cluster, _api: api, tools };
        setup.play_kubelet().await;
        setup.api_is_available().await;
        setup
    }

    /// Makes the pods that are missing on the nodes, and reports all of them as ready.
    pub(crate) async fn play_kubelet(&self) {
        play_kubelet(&self.cluster, "coffer", "coffer-csi").await;
        play_kubelet(&self.cluster, "kube-system", "csi-secrets-store").await;
        let deployments: Api<Deployment> = Api::namespaced(self.cluster.client().clone(), "coffer-api");
        let status =
            json!({ "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2 });
        patch_status(&deployments, "coffer-api-server", status).await;
    }

    /// Waits until kube-apiserver reports the API as available.
    pub(crate) async fn api_is_available(&self) {
        until_true("the APIService to be available", async || {
            self.cluster.kubectl().api_is_available().await
        })
        .await;
    }

    /// Creates a namespace with service account `app`, and a class that this account may read.
    pub(crate) async fn tenant(&self, name: &str) -> String {
        let namespace = self.cluster.namespace(name).await;
        namespace.account("app").await;
        let role = namespace.name();
        let rules = format!("path \"secret/data/{role}/*\" {{ capabilities = [\"read\"] }}");
        self.bao.policy(role, &rules).await;
        let role = KubernetesRole {
            name: role,
            account: "app",
            namespace: role,
            audience: Some("vault"),
            policy: role,
        };
        self.bao.kubernetes_role("kubernetes", &role).await;
        let objects = namespace.objects("db", &[("f", "k")]);
        namespace.class("db", json!({ "roleName": namespace.name(), "objects": objects })).await;
        namespace.name().to_owned()
    }

    /// Runs the doctor as the administrator.
    pub(crate) async fn examine(&self, arguments: &[&str]) -> Examination {
        let kubeconfig = self.cluster.kubectl().kubeconfig().display().to_string();
        self.tools.examine(&[&["--kubeconfig", &kubeconfig], arguments].concat()).await
    }

    /// Runs the doctor as a service account.
    pub(crate) async fn examine_as(&self, namespace: &str, account: &str, arguments: &[&str]) -> Examination {
        // without controllers nobody makes it
        let made = format!("kubectl create serviceaccount {account} --namespace {namespace}");
        self.try_shell(&made).await;
        let kubeconfig = self.tools.dir.path().join("account.kubeconfig");
        self.cluster.account_kubeconfig(namespace, account).await.write(&kubeconfig);
        let kubeconfig = kubeconfig.display().to_string();
        self.tools.examine(&[&["--kubeconfig", &kubeconfig], arguments].concat()).await
    }

    /// Runs a command line that must succeed, and returns what it printed.
    pub(crate) async fn shell(&self, line: &str) -> String {
        self.tools.shell(line, self.bao.address()).await
    }

    /// Runs a command line.
    pub(crate) async fn try_shell(&self, line: &str) -> ShellOutput {
        self.tools.try_shell(line, self.bao.address()).await
    }

    /// Returns a kubeconfig of a server that does not answer.
    pub(crate) fn away_kubeconfig(&self) -> PathBuf {
        let admin = self.cluster.api_server().admin();
        let path = self.tools.dir.path().join("away.kubeconfig");
        Kubeconfig { server: "https://127.0.0.1:1".to_owned(), ..admin }.write(&path);
        path
    }
}

impl Servers for DoctorSetup {
    fn show_logs(&self) {
        self.cluster.show_logs();
        self.bao.process().show_log();
    }
}

impl Tools {
    /// Links the programs under the names by which commands call them.
    pub(crate) fn new(cluster: &Cluster) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let link = |program: PathBuf, name: &str| symlink(program, dir.path().join(name)).unwrap();
        link(coffer_binary("coffer"), "coffer");
        link(coffer_binary("coffer"), "kubectl-coffer");
        link(kubectl_program(), "kubectl");
        link(Helm::V4.program(), "helm");
        link(find_bao(), "bao");
        link(find_bao(), "vault");
        fs::copy(cluster.kubectl().kubeconfig(), dir.path().join("kubeconfig")).unwrap();
        Self { dir }
    }

    pub(crate) async fn shell(&self, line: &str, vault: &str) -> String {
        let output = self.try_shell(line, vault).await;
        assert_eq!(output.code, 0, "{line}: {output:?}");
        output.out
    }

    pub(crate) async fn try_shell(&self, line: &str, vault: &str) -> ShellOutput {
        let mut path = OsString::from(self.dir.path());
        path.push(":/usr/bin:/bin");
        let mut command = Command::new("/bin/sh");
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.dir.path())
            .env("KUBECONFIG", self.dir.path().join("kubeconfig"))
            .env("VAULT_ADDR", vault)
            .env("VAULT_TOKEN", OpenBao::ROOT_TOKEN)
            .env("BAO_ADDR", vault)
            .env("BAO_TOKEN", OpenBao::ROOT_TOKEN)
            .current_dir(workspace())
            .args(["-c", line]);
        let output = command.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        ShellOutput {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Runs the doctor.
    pub(crate) async fn examine(&self, arguments: &[&str]) -> Examination {
        let mut command = Command::new(self.dir.path().join("coffer"));
        command.env_clear().env("KUBECONFIG", self.dir.path().join("kubeconfig"));
        let output = command.args(["doctor", "--output=json"]).args(arguments).output().await.unwrap();
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        Examination { code: output.status.code().unwrap(), report }
    }
}

impl Examination {
    pub(crate) fn lines(&self) -> impl Iterator<Item = &Value> {
        self.report["lines"].as_array().unwrap().iter()
    }

    /// Returns the line of a check whose message says that.
    pub(crate) fn line(&self, check: &str, says: &str) -> &Value {
        let mut found = self.lines().filter(|line| line["check"] == check);
        let found = found.find(|line| message(line).contains(says));
        found.unwrap_or_else(|| panic!("no line of {check} says {says:?}: {self:#?}"))
    }

    pub(crate) fn assert_healthy(&self) {
        let faults: Vec<&Value> = self.lines().filter(|line| line["status"] != "ok").collect();
        assert!(faults.is_empty() && self.code == 0, "exit code {}: {faults:#?}", self.code);
    }
}

/// Applies the DaemonSet of the driver, with rotation, and makes nodes on which it is registered.
pub(crate) async fn install_driver(tools: &Tools, cluster: &Cluster) {
    let manifest = workspace().join("target/servers/driver-1.6/deploy/secrets-store-csi-driver.yaml");
    let on = "-e s/enable-secret-rotation=false/enable-secret-rotation=true/";
    // this kube-apiserver allows no privileged pods
    let plain = "-e 's/privileged: true/privileged: false/' -e /mountPropagation/d";
    let line = format!("sed {on} {plain} {} | kubectl apply --filename -", manifest.display());
    tools.shell(&line, "").await;
    for node in NODES {
        let line = format!(
            "kubectl create --filename - <<'END'
apiVersion: v1
kind: Node
metadata: {{name: {node}, labels: {{kubernetes.io/os: linux}}}}
---
apiVersion: storage.k8s.io/v1
kind: CSINode
metadata: {{name: {node}}}
spec: {{drivers: [{{name: secrets-store.csi.k8s.io, nodeID: {node}}}]}}
END"
        );
        tools.shell(&line, "").await;
    }
    play_kubelet(cluster, "kube-system", "csi-secrets-store").await;
}

/// Makes the pods of a DaemonSet that are missing on the nodes that it selects and whose taints it
/// tolerates, and reports all of them as ready.
pub(crate) async fn play_kubelet(cluster: &Cluster, namespace: &str, name: &str) {
    let daemonsets: Api<DaemonSet> = Api::namespaced(cluster.client().clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(cluster.client().clone(), namespace);
    let nodes: Api<Node> = Api::all(cluster.client().clone());
    let template = json!(daemonsets.get(name).await.unwrap().spec.unwrap().template);
    for node in NODES {
        let pod_name = format!("{name}-{node}");
        let mut pod = template.clone();
        pod["metadata"]["name"] = json!(pod_name);
        pod["spec"]["nodeName"] = json!(node);
        let pod: Pod = serde_json::from_value(pod).unwrap();
        if pods.get_opt(&pod_name).await.unwrap().is_none() {
            if !takes(&nodes.get(node).await.unwrap(), &template["spec"]) {
                continue;
            }
            pods.create(&PostParams::default(), &pod).await.unwrap();
        }
        let ready = json!([{ "type": "Ready", "status": "True" }]);
        let status = json!({ "phase": "Running", "conditions": ready, "containerStatuses": null });
        patch_status(&pods, &pod_name, status).await;
    }
}

/// Tells whether a DaemonSet's pods run on a node: by labels, and by taints if all are tolerated.
fn takes(node: &Node, pod: &Value) -> bool {
    let labels = node.metadata.labels.clone().unwrap_or_default();
    let mut selector = pod["nodeSelector"].as_object().into_iter().flatten();
    let is_tainted = node.spec.as_ref().is_some_and(|spec| spec.taints.is_some());
    let all = json!({ "operator": "Exists" });
    let tolerates = pod["tolerations"].as_array().is_some_and(|tolerations| tolerations.contains(&all));
    selector.all(|(key, value)| labels.get(key).is_some_and(|label| value == label))
        && (tolerates || !is_tainted)
}

async fn patch_status<K>(api: &Api<K>, name: &str, status: Value)
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let patch = Patch::Merge(json!({ "status": status }));
    api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}
