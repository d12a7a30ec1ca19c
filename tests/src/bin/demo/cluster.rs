//! coffer-csi and coffer-api-server on a real kube-apiserver.

use std::process::ExitCode;

use coffer_tests::kubernetes::aggregated::ApiSetup;
use coffer_tests::kubernetes::{
    Cluster, ClusterOptions, ClusterWithVault, CsiNode, DriverGeneration, Namespace, PodVolume,
    example_namespace, example_secret, mounts_forbidden,
};
use coffer_tests::{OpenBao, postgres_is_installed, until};
use serde_json::json;

use crate::{leases, say};

/// Shows credentials that end with their pod, a volume of the CSI driver, and kubectl.
pub(crate) async fn show() -> ExitCode {
    if postgres_is_installed() {
        leases::show().await;
    } else {
        say("To see credentials of a database too: install Debian's package postgresql");
    }
    with_kubernetes().await;
    say("Done. Everything that was started ends now");
    ExitCode::SUCCESS
}

/// Reads a secret by a volume, where the harness makes kubelet's calls, and by kubectl.
async fn with_kubernetes() {
    say("kube-apiserver and OpenBao start; kubectl applies examples/secretproviderclass.yaml");
    let (cluster, bao) = ClusterWithVault::without_nodes(ClusterOptions::default()).await;
    example_secret(&bao).await;
    let shop = example_namespace(&cluster).await;
    match mounts_forbidden() {
        Some(reason) => say(&format!("The part with the CSI driver is left out: it {reason}")),
        None => through_the_driver(&cluster, &bao, &shop).await,
    }

    say("coffer-api-server starts behind kube-apiserver: the same class, read by kubectl");
    let setup = ApiSetup::between(cluster, bao).await;
    setup.listed(&shop, "shop-db").await;
    for command in [
        "kubectl create rolebinding coffer-token-minter --namespace shop \\\n      \
         --clusterrole coffer-token-minter --serviceaccount coffer-api:coffer-api-server",
        "kubectl annotate secretproviderclass shop-db --namespace shop custom.secrets.k8s.io/service-account=shop",
        "kubectl get vaultsecret --namespace shop",
        "kubectl get vaultsecret shop-db --namespace shop -o jsonpath='{.data}'",
    ] {
        println!("    $ {command}");
        let shown = until("the command to work", async || {
            let printed = setup.cluster.kubectl().shell(command).await;
            printed.status.success().then_some(printed.out)
        })
        .await;
        shown.lines().for_each(|line| println!("    {line}"));
    }
}

/// Mounts the class for a pod, changes the secret, and publishes the volume again.
async fn through_the_driver(cluster: &Cluster, bao: &OpenBao, shop: &Namespace) {
    say("The CSI driver 1.6 and coffer-csi start; kubelet mounts the class for a new pod");
    let node = CsiNode::start(DriverGeneration::V1_6, cluster, bao.address()).await;
    let volume = node.kubelet.mount(&shop.pod(&node, "shop", "shop-db").await).await;
    show_volume(shop, &volume).await;

    say("The password changes in OpenBao; kubelet publishes the volume again");
    bao.kv_put("shop/db", json!({ "username": "shop", "password": "a-new-one" })).await;
    node.kubelet.publish(&volume).await.expect("the volume is published again");
    show_volume(shop, &volume).await;
    node.kubelet.unmount(&volume).await;
}

/// Prints the files of the example's class, and their versions in SecretProviderClassPodStatus.
async fn show_volume(namespace: &Namespace, volume: &PodVolume) {
    let versions = namespace.versions(&volume.pod, volume.class()).await.unwrap_or_default();
    for (file, version) in versions {
        println!("    {file}: {} (version {version})", volume.read(&file).unwrap_or_default());
    }
}
