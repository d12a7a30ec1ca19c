//! `coffer doctor` from an empty cluster to two Helm releases and back.

use coffer_tests::kubernetes::{Cluster, ClusterOptions, shipped_rbac};
use coffer_tests::{OpenBao, Suite, TestCa};

use crate::doctor_setup::{Tools, install_driver, play_kubelet};

pub(crate) fn tests(suite: Suite<()>) -> Suite<()> {
    suite.test("what_is_not_installed_and_what_is_twice_is_said", |_| {
        what_is_not_installed_and_what_is_twice_is_said()
    })
}

async fn what_is_not_installed_and_what_is_twice_is_said() {
    let ca = TestCa::new();
    let (cluster, bao) =
        tokio::join!(Cluster::start(ClusterOptions::default()), OpenBao::start_with_tls(&ca));
    let tools = Tools::new(&cluster);
    let shell = async |line: &str| tools.shell(line, bao.address()).await;
    shell(&format!("kubectl delete --filename {}", shipped_rbac().display())).await;

    // the driver's CRDs and CSIDriver object, and nothing else
    let bare = tools.examine(&[]).await;
    assert_eq!(bare.code, 1, "{bare:?}");
    let line = bare.line("driver.version", "no DaemonSet of the driver is found");
    let command = line["command"].as_str().unwrap();
    assert!(command.starts_with("helm install csi-secrets-store secrets-store-csi-driver --repo "), "{line}");
    assert_eq!(bare.line("agents.installed", "coffer-csi is not installed")["status"], "error");
    shell("kubectl get csidriver secrets-store.csi.k8s.io --output=yaml > $HOME/csidriver.yaml").await;
    shell("kubectl delete csidriver secrets-store.csi.k8s.io").await;
    tools.examine(&[]).await.line("driver.object", "the driver is not installed");
    shell("kubectl create --filename $HOME/csidriver.yaml").await;
    install_driver(&tools, &cluster).await;

    shell("helm install coffer charts/coffer --namespace coffer --set csi.enabled=false").await;
    let api_alone = tools.examine(&[]).await;
    let line = api_alone.line("agents.installed", "only coffer-api-server: no pod can mount");
    assert_eq!(line["status"], "warning");
    // without controllers it has no pod
    api_alone.line("api.replicas", "Deployment coffer-api/coffer-api-server is ready: 0 of 2");

    // a release whose Vault has an authority of its own: it is found in the ConfigMap
    let (file, port) = (ca.certificate_file().display().to_string(), bao.tls_port());
    let vault = format!("--set vault.address=https://localhost:{port} --set-file vault.ca.pem={file}");
    shell(&format!("helm upgrade coffer charts/coffer --namespace coffer {vault}")).await;
    play_kubelet(&cluster, "coffer", "coffer-csi").await;
    let installed = tools.examine(&[]).await;
    installed.line("vault.reachable", &format!("https://localhost:{port} answers from here, version 2."));
    installed.line("rights.agent", "service account coffer:coffer-csi has every right");
    installed.line("agents.nodes", "coffer-csi is ready on all nodes with the driver (2)");
    shell("kubectl delete configmap coffer-vault-ca --namespace coffer").await;
    let blind = tools.examine(&[]).await;
    let line =
        blind.line("vault.reachable", "which cannot be read from here: name a copy by --vault-tls-ca-cert");
    assert_eq!(line["status"], "unknown");
    let named = tools.examine(&["--vault-tls-ca-cert", &file]).await;
    named.line("vault.reachable", "answers from here");

    // what belongs to the release is restored from it
    shell("kubectl delete clusterrolebinding coffer-csi-pods").await;
    let broken = tools.examine(&[]).await;
    let line = broken.line("rights.agent", "may not list, watch pods in the cluster");
    assert_eq!(line["command"], "helm get manifest coffer --namespace coffer | kubectl apply --filename -");
    shell(line["command"].as_str().unwrap()).await;
    let restored = tools.examine(&[]).await;
    restored.line("rights.agent", "has every right");
    restored.line("vault.reachable", "answers from here");

    // another release on the same nodes
    let second = "--create-namespace --set apiServer.enabled=false --set csi.name=other-csi";
    shell(&format!("helm install second charts/coffer --namespace second {second}")).await;
    let twice = tools.examine(&[]).await;
    let line =
        twice.line("agents.socket", "both make the socket /var/run/secrets-store-csi-providers/vault.sock");
    assert_eq!(line["status"], "error");
    twice.line("agents.socket", "share the state directory");
    // one of them can be looked at alone
    let first = tools.examine(&["--namespace=coffer", "--namespace=coffer-api"]).await;
    first.line("agents.installed", "coffer-csi is installed: DaemonSet coffer/coffer-csi");
    shell(line["command"].as_str().unwrap()).await;
    let once = tools.examine(&[]).await;
    once.line("agents.socket", "nobody else makes the socket");

    // what stays behind keeps namespaces from being deleted
    shell("kubectl delete deployment coffer-api-server --namespace coffer-api").await;
    let left = tools.examine(&[]).await;
    let line =
        left.line("api.service", "is there and coffer-api-server is not: namespaces cannot be deleted");
    shell(line["command"].as_str().unwrap()).await;
    assert!(tools.examine(&[]).await.lines().all(|line| line["check"] != "api.service"));
}
