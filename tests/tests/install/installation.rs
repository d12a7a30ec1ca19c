//! Installs Coffer on a real kube-apiserver with Helm and with `kubectl apply -k`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coffer_tests::kubernetes::{
    Cluster, ClusterOptions, Helm, InstalledApi, chart, objects, shipped_folder, shipped_rbac, value_sets,
};
use coffer_tests::{OpenBao, Servers, Suite, until_true};
use serde_json::{Value, json};

pub(crate) fn tests(suite: Suite<InstallationSetup>) -> Suite<InstallationSetup> {
    // Both generations of Helm render the same: see chart.rs.
    let suite = value_sets().into_iter().fold(suite, |suite, (name, values)| {
        suite.test(format!("kube_apiserver_takes::{name}"), move |setup| takes(setup, values))
    });
    let suite = Helm::ALL.into_iter().fold(suite, |suite, helm| {
        suite.test(format!("helm_{helm}_installs_upgrades_and_uninstalls"), move |setup| lives(setup, helm))
    });
    suite
        .test("kubectl_apply_k_installs", kubectl_apply_k_installs)
        .test("an_overlay_sets_vault_and_images", an_overlay_sets_vault_and_images)
        .test("the_node_agent_violates_one_standard_alone", the_node_agent_violates_one_standard_alone)
        .test("the_installed_api_serves_under_another_name", the_installed_api_serves_under_another_name)
}

/// The namespaces in the value sets.
const NAMESPACES: [&str; 3] = ["coffer", "coffer-api", "custom-metrics"];

/// A cluster with controllers and one Node object, and with the CRDs of cert-manager and Prometheus
/// that the chart uses. Coffer is not installed.
pub(crate) struct InstallationSetup {
    cluster: Cluster,
    dir: tempfile::TempDir,
}

impl InstallationSetup {
    pub(crate) async fn start() -> Self {
        let options = ClusterOptions { controllers: true, ..ClusterOptions::default() };
        let setup = Self { cluster: Cluster::start(options).await, dir: tempfile::tempdir().unwrap() };
        let kubectl = setup.cluster.kubectl();
        kubectl.run(["delete", "--filename", &shipped_rbac().display().to_string()]).await;
        let kinds = [
            ("cert-manager.io", "v1", "Certificate", "certificates"),
            ("cert-manager.io", "v1", "Issuer", "issuers"),
            ("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"),
            ("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"),
            ("security.openshift.io", "v1", "SecurityContextConstraints", "securitycontextconstraints"),
        ];
        let mut made: Vec<Value> =
            kinds.map(|(group, version, kind, plural)| definition(group, version, kind, plural)).into();
        made.push(json!({ "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": "n1", "labels": { "kubernetes.io/os": "linux" } } }));
        setup.apply(&made).await;
        kubectl.run(["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]).await;
        setup
    }

    async fn apply(&self, objects: &[Value]) {
        let file = self.dir.path().join("objects.json");
        fs::write(&file, json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string())
            .unwrap();
        self.cluster.kubectl().apply([file]).await;
    }

    fn helm(&self, helm: Helm, arguments: &[&str]) {
        let output = helm.run(arguments, Some(&self.cluster.kubectl().kubeconfig()));
        assert!(output.status.success(), "helm {helm} {arguments:?}: {output:?}");
    }

    /// Returns kind, namespace and name of every object with Coffer's label.
    async fn installed(&self) -> BTreeSet<String> {
        let kinds = "namespaces,clusterroles,clusterrolebindings,roles,rolebindings,serviceaccounts,daemonsets,\
                     deployments,services,poddisruptionbudgets,networkpolicies,apiservices,csidrivers,configmaps";
        let names =
            "-o=jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name}{\"\\n\"}{end}";
        let get = ["get", kinds, "--all-namespaces", "-l", "app.kubernetes.io/part-of=coffer", names];
        self.cluster.kubectl().run(get).await.lines().map(str::to_owned).collect()
    }

    /// Waits until the controllers have created the pods, which admission must allow.
    async fn pods(&self, namespace: &str, number: usize) {
        until_true(&format!("{number} pods in {namespace}"), async || {
            let shown = self.cluster.kubectl().run(["get", "pods", "-n", namespace, "-o", "name"]).await;
            shown.lines().count() == number
        })
        .await;
    }

    /// Deletes the namespaces of earlier installations.
    async fn emptied(&self) {
        let delete = ["delete", "namespace", "--ignore-not-found"];
        self.cluster.kubectl().run(delete.into_iter().chain(NAMESPACES)).await;
    }

    async fn gone(&self) {
        until_true("all objects to be deleted", async || self.installed().await.is_empty()).await;
    }
}

impl Servers for InstallationSetup {
    fn show_logs(&self) {
        self.cluster.show_logs();
    }
}

/// Returns a CRD whose objects may have any fields. Those of OpenShift are in no namespace.
fn definition(group: &str, version: &str, kind: &str, plural: &str) -> Value {
    let scope = if group.ends_with("openshift.io") { "Cluster" } else { "Namespaced" };
    let schema =
        json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group, "scope": scope,
            "names": { "kind": kind, "singular": kind.to_lowercase(), "plural": plural },
            "versions": [{ "name": version, "served": true, "storage": true, "schema": schema }],
        },
    })
}

/// Applies every object of a value set with a server-side dry run, which refuses unknown fields.
async fn takes(setup: Arc<InstallationSetup>, values: Vec<String>) {
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let text = Helm::V4.template(&values).unwrap();
    let kubectl = setup.cluster.kubectl();
    // A dry run creates no namespaces for later objects.
    for name in NAMESPACES {
        if !kubectl.try_run(["get", "namespace", name]).await.status.success() {
            kubectl.run(["create", "namespace", name]).await;
        }
    }
    let file = setup.dir.path().join("rendered.yaml");
    fs::write(&file, &text).unwrap();
    let file = file.display().to_string();
    // The CSIDriver object already belongs to the driver.
    let apply = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "--filename",
        &file,
    ];
    let applied = kubectl.run(apply).await;
    assert_eq!(applied.lines().count(), objects(&text).len(), "{applied}");
}

async fn lives(setup: Arc<InstallationSetup>, helm: Helm) {
    setup.emptied().await;
    let chart = chart().display().to_string();
    let release = ["coffer", chart.as_str(), "--namespace=coffer"];
    let run = |command: &str, more: &[&str]| {
        let mut arguments = vec![command];
        arguments.extend(release);
        arguments.extend(more);
        setup.helm(helm, &arguments);
    };
    run("install", &["--create-namespace", "--set=vault.address=https://vault.example.com"]);
    setup.pods("coffer", 1).await;
    // This namespace enforces the standard `restricted`.
    setup.pods("coffer-api", 2).await;
    let first = setup.installed().await;
    assert!(first.contains("DaemonSet coffer/coffer-csi"), "{first:?}");
    let enforced = "jsonpath={.metadata.labels.pod-security\\.kubernetes\\.io/enforce}";
    let enforced = setup.cluster.kubectl().run(["get", "namespace", "coffer-api", "-o", enforced]).await;
    assert_eq!(enforced, "restricted");

    run("upgrade", &["--reuse-values", "--set=csi.mintTokens=false", "--set=csiDriver.create=false"]);
    let second = setup.installed().await;
    let lost: Vec<_> = first.difference(&second).map(String::as_str).collect();
    let minting = ["ClusterRole /coffer-csi", "ClusterRoleBinding /coffer-csi"];
    assert_eq!(lost, minting);

    setup.helm(helm, &["uninstall", "coffer", "--namespace=coffer"]);
    setup.gone().await;
}

async fn kubectl_apply_k_installs(setup: Arc<InstallationSetup>) {
    setup.emptied().await;
    let kubectl = setup.cluster.kubectl();
    let folder = shipped_folder().display().to_string();
    kubectl.run(["apply", "-k", &folder]).await;
    setup.pods("coffer", 1).await;
    setup.pods("coffer-api", 2).await;
    // Now that the namespaces exist: a server-side dry run, which refuses unknown fields.
    let dry = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "-k",
        &folder,
    ];
    let applied = kubectl.run(dry).await;
    assert_eq!(applied.lines().count(), setup.installed().await.len(), "{applied}");

    let monitoring = shipped_folder().join("monitoring").display().to_string();
    let applied = kubectl.run(["apply", "-k", &monitoring]).await;
    for object in ["prometheusrule", "servicemonitor", "configmap/coffer-dashboard"] {
        assert!(applied.contains(object), "no {object} in {applied}");
    }
    kubectl.run(["delete", "-k", &monitoring]).await;
    uninstall(&setup, &folder).await;
}

/// Uninstalls as the README says: first the APIService, or the deletion of namespaces would wait
/// for it.
async fn uninstall(setup: &InstallationSetup, folder: &str) {
    let kubectl = setup.cluster.kubectl();
    kubectl.run(["delete", "apiservice", "v1alpha1.custom.secrets.k8s.io"]).await;
    kubectl.run(["delete", "--ignore-not-found", "-k", folder]).await;
    setup.gone().await;
}

/// A user's overlay can set the Vault address and the images of both programs.
async fn an_overlay_sets_vault_and_images(setup: Arc<InstallationSetup>) {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let deploy = dir.path().join("deploy");
    fs::create_dir(&deploy).unwrap();
    // the folder of alerts is no part of the kustomization
    let files = fs::read_dir(shipped_folder()).unwrap().flatten().filter(|entry| entry.path().is_file());
    for file in files {
        fs::copy(file.path(), deploy.join(file.file_name())).unwrap();
    }
    let edited = fs::read_to_string(deploy.join("kustomization.yaml")).unwrap();
    let edited = edited
        .replace("newName: localhost/", "newName: registry.example.com/")
        .replace("https://vault.vault.svc:8200", "https://vault.example.com");
    fs::write(deploy.join("kustomization.yaml"), edited).unwrap();
    let built = setup.cluster.kubectl().run(["kustomize", &deploy.display().to_string()]).await;
    let mut seen = 0;
    for object in objects(&built) {
        let container = &object["spec"]["template"]["spec"]["containers"][0];
        if let Some(image) = container["image"].as_str() {
            assert!(
                image.starts_with("registry.example.com/coffer-")
                    && image.ends_with(concat!(":", env!("CARGO_PKG_VERSION"))),
                "{image}"
            );
            assert_eq!(
                container["env"][0],
                json!({ "name": "VAULT_ADDR", "value": "https://vault.example.com" })
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 2);
}

/// In a `restricted` namespace, admission refuses coffer-csi only for its hostPath and for running
/// as root.
async fn the_node_agent_violates_one_standard_alone(setup: Arc<InstallationSetup>) {
    let kubectl = setup.cluster.kubectl();
    kubectl.run(["create", "namespace", "strict"]).await;
    kubectl.run(["label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted"]).await;
    let manifest = fs::read_to_string(shipped_folder().join("csi.yaml")).unwrap();
    let daemonset = objects(&manifest).into_iter().find(|object| object["kind"] == "DaemonSet").unwrap();
    let template = &daemonset["spec"]["template"];
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "agent", "namespace": "strict" }, "spec": template["spec"],
    });
    let file = setup.dir.path().join("pod.json");
    fs::write(&file, pod.to_string()).unwrap();
    let file = file.display().to_string();
    let refused = kubectl.try_run(["create", "--dry-run=server", "--filename", &file]).await;
    let refused = refused.refused();
    let (_, violations) = refused.split_once("violates PodSecurity \"restricted:latest\": ").unwrap();
    let named: Vec<&str> =
        violations.split("), ").map(|violation| violation.split(" (").next().unwrap()).collect();
    assert_eq!(named, ["restricted volume types", "runAsNonRoot != true", "runAsUser=0"], "{refused}");
    kubectl.run(["delete", "namespace", "strict"]).await;
}

/// The chart's objects under other names, and the binary run as their Deployment says: arguments,
/// account and rights.
async fn the_installed_api_serves_under_another_name(setup: Arc<InstallationSetup>) {
    setup.emptied().await;
    let (cluster, kubectl) = (&setup.cluster, setup.cluster.kubectl());
    let bao = OpenBao::start().await;
    let (chart, values) = (chart().display().to_string(), ci("custom-api.yaml").display().to_string());
    let install = ["install", "api", &chart, "--namespace=custom", "--create-namespace", "--values", &values];
    setup.helm(Helm::V4, &install);
    let mut api = InstalledApi::start(cluster, "custom-metrics", "custom-api", bao.address()).await;
    until_true("the APIService to be available", async || {
        assert!(api.is_running(), "{}", api.log());
        kubectl.api_is_available().await
    })
    .await;
    let listed = kubectl.run(["get", "--raw", "/apis/custom.secrets.k8s.io/v1alpha1/secrets"]).await;
    assert!(listed.contains("VaultSecretList"), "{listed}");
    setup.helm(Helm::V4, &["uninstall", "api", "--namespace=custom"]);
    setup.gone().await;
}

fn ci(name: &str) -> PathBuf {
    Path::new(&chart()).join("ci").join(name)
}
