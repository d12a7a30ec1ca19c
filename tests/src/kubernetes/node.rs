//! A node: the driver, coffer-csi on its socket, and kubelet's part.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::cluster::Cluster;
use super::driver::{DriverProcess, providers};
use super::kubelet::Kubelet;
use super::mounts::MountDir;
use super::programs::DriverGeneration;
use crate::provider::{Csi, CsiOptions};

/// A node of a cluster. Fields are dropped in this order: when the mounts are undone, nothing
/// mounts any more.
pub struct CsiNode {
    /// The test's calls as kubelet.
    pub kubelet: Kubelet,
    /// The provider.
    pub csi: Csi,
    driver: DriverProcess,
    name: String,
    dir: MountDir,
}

impl CsiNode {
    /// Starts a node whose provider uses that Vault.
    ///
    /// # Panics
    /// If a server does not become ready.
    pub async fn start(generation: DriverGeneration, cluster: &Cluster, vault: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(1);
        let name = format!("node-{}", MADE.fetch_add(1, Ordering::Relaxed));
        let dir = MountDir::new();
        std::fs::create_dir(providers(dir.path())).expect("make the providers' directory");
        cluster.coffer_kubeconfig().await.write(&coffer_kubeconfig(dir.path()));

        let driver = DriverProcess::start(generation, &name, dir.path(), cluster.driver_kubeconfig());
        let csi = provider(dir.path(), vault).start();
        let (driver, csi) = tokio::join!(driver, csi);
        let client = driver.client().clone();
        Self {
            kubelet: Kubelet::new(cluster.client().clone(), client, dir.path().join("kubelet")),
            csi,
            driver,
            name,
            dir,
        }
    }

    /// Returns the node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the node's driver.
    pub fn driver(&self) -> &DriverProcess {
        &self.driver
    }

    /// Returns the options that the node's provider is started with: its socket and its service
    /// account.
    pub fn provider(&self, vault: &str) -> CsiOptions {
        provider(self.dir.path(), vault)
    }

    /// Ends the provider with SIGTERM, as a rolling update does, and waits for its end.
    pub async fn end_provider(&mut self) {
        self.csi.terminate();
        self.csi.wait().await;
    }

    /// Returns the path of a provider's socket on this node.
    pub fn socket(&self, provider: &str) -> PathBuf {
        providers(self.dir.path()).join(format!("{provider}.sock"))
    }

    /// Prints the ends of the processes' logs.
    pub fn show_logs(&self) {
        self.driver.process().show_log();
        self.csi.process().show_log();
    }
}

fn provider(dir: &Path, vault: &str) -> CsiOptions {
    Csi::options()
        .socket(&providers(dir).join("vault.sock"))
        .key_in_cluster()
        .env("KUBECONFIG", coffer_kubeconfig(dir))
        .flag(format!("-vault-addr={vault}"))
}

fn coffer_kubeconfig(dir: &Path) -> PathBuf {
    dir.join("coffer.kubeconfig")
}
