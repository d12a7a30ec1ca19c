//! Runs what `cargo xtask cluster up` offers until SIGTERM: the tests' cluster with a Vault and one
//! node.

use std::fs;
use std::path::{Path, PathBuf};

use coffer_tests::OpenBao;
use coffer_tests::kubernetes::{Cluster, ClusterOptions, ClusterWithVault, CsiNode, DriverGeneration};
use tokio::signal::unix::{SignalKind, signal};

/// The only argument is the directory for the file that describes the cluster.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let state: PathBuf = std::env::args_os().nth(1).expect("the state directory").into();
    let mut terminate = signal(SignalKind::terminate()).expect("a signal handler");
    let mut interrupt = signal(SignalKind::interrupt()).expect("a signal handler");
    tokio::select! {
        () = serve(&state) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Starts all servers, writes the description, and never returns. Dropping the future ends all
/// servers.
async fn serve(state: &Path) {
    let options = ClusterOptions { controllers: true, ..ClusterOptions::default() };
    let (cluster, bao) = ClusterWithVault::without_nodes(options).await;
    let node = CsiNode::start(DriverGeneration::V1_6, &cluster, bao.address()).await;
    let kubeconfig = state.join("kubeconfig");
    cluster.api_server().admin().write(&kubeconfig);

    let text = what_runs_where(&kubeconfig, &cluster, &bao, &node);
    // Renamed when complete: whoever waits for the file reads it at once.
    fs::write(state.join("ready.part"), text).expect("write the state");
    fs::rename(state.join("ready.part"), state.join("ready")).expect("write the state");
    std::future::pending::<()>().await;
}

fn what_runs_where(kubeconfig: &Path, cluster: &Cluster, bao: &OpenBao, node: &CsiNode) -> String {
    let controllers = cluster.controllers().map_or(0, |controllers| controllers.process().id());
    let lines = [
        ("kube-apiserver", cluster.api_server().id(), cluster.api_server().admin().server),
        ("etcd", cluster.etcd().process().id(), cluster.etcd().address().to_owned()),
        ("kube-controller-manager", controllers, String::new()),
        (
            "OpenBao",
            bao.process().id(),
            format!("{}, token {}, login auth/kubernetes", bao.address(), OpenBao::ROOT_TOKEN),
        ),
        (
            "CSI driver 1.6",
            node.driver().process().id(),
            format!("node {}, {}", node.name(), node.driver().socket().display()),
        ),
        ("coffer-csi", node.csi.process().id(), node.csi.socket().display().to_string()),
    ];
    let mut text = format!("export KUBECONFIG={}\n", kubeconfig.display());
    for (name, id, place) in lines {
        text.push_str(format!("\n{name:<24} process {id:<8} {place}").trim_end());
    }
    text
}
