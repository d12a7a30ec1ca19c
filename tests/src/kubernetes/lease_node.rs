//! A node whose agent manages leases.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use super::COFFER_NAMESPACE;
use super::cluster::Cluster;
use super::namespace::Namespace;
use crate::binaries::coffer_binary;
use crate::limits::ProcessLimits;
use crate::mount::{MountCall, Mounted};
use crate::provider::{Csi, CsiOptions};
use crate::wait::until_true;

/// A node whose coffer-csi manages leases, with directories for its state and its socket.
pub struct LeaseNode {
    /// The running coffer-csi.
    pub csi: Csi,
    name: String,
    vault: String,
    limits: Option<ProcessLimits>,
    flags: Vec<String>,
    dir: TempDir,
}

impl LeaseNode {
    /// Starts a node of a cluster whose agent uses Vault at that address, with further flags.
    pub async fn on(cluster: &Cluster, name: &str, vault: &str, flags: &[&str]) -> Self {
        Self::start(cluster, name, vault, None, flags).await
    }

    pub(super) async fn start(
        cluster: &Cluster,
        name: &str,
        vault: &str,
        limits: Option<ProcessLimits>,
        flags: &[&str],
    ) -> Self {
        // as on every node, the agent's own pod exists before the agent starts
        let coffer = Namespace::existing(cluster.client(), COFFER_NAMESPACE);
        let own = coffer.pod_on(name, "coffer-csi", "none").await;
        let dir = tempfile::tempdir_in("/dev/shm").expect("a directory on tmpfs");
        cluster.pod_kubeconfig(&own).await.write_as_in_pod(&kubeconfig(dir.path()));
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let csi = options(name, vault, dir.path(), limits.as_ref(), &flags).start().await;
        Self { csi, name: name.to_owned(), vault: vault.to_owned(), limits, flags, dir }
    }

    /// Returns the node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the agent's state directory.
    pub fn state(&self) -> PathBuf {
        state(self.dir.path())
    }

    /// Returns the files in the state directory that are stored sessions.
    ///
    /// # Panics
    /// If there is no such directory.
    pub fn records(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.state()).expect("a state directory").flatten();
        let is_record = |entry: &fs::DirEntry| !entry.file_name().to_string_lossy().contains('.');
        entries.filter(is_record).map(|entry| entry.path()).collect()
    }

    /// Returns the options that the agent is started with.
    pub fn options(&self) -> CsiOptions {
        options(&self.name, &self.vault, self.dir.path(), self.limits.as_ref(), &self.flags)
    }

    /// Returns what `coffer status` prints.
    ///
    /// # Panics
    /// If `coffer status` fails.
    pub async fn status(&self) -> String {
        self.status_as("text").await
    }

    /// Returns what `coffer status` prints in a format.
    ///
    /// # Panics
    /// If `coffer status` fails.
    pub async fn status_as(&self, format: &str) -> String {
        let mut command = Command::new(coffer_binary("coffer"));
        command.args(["status", "--output", format, "--state-dir"]).arg(self.state());
        let output = command.output().await.expect("run coffer");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Kills the agent and starts it again.
    pub async fn kill_and_start(&mut self) {
        self.csi.kill();
        self.csi.wait().await;
        self.csi = self.options().start().await;
    }

    /// Ends the agent with SIGTERM, as a rolling update does, and starts the next one.
    pub async fn restart(&mut self) {
        self.restart_with(self.options()).await;
    }

    /// Ends the agent with SIGTERM and starts one with other options.
    pub async fn restart_with(&mut self, options: CsiOptions) {
        self.stop().await;
        self.csi = options.start().await;
    }

    /// Ends the agent with SIGTERM, as a rolling update does.
    pub async fn stop(&mut self) {
        self.csi.terminate();
        self.csi.wait().await;
    }

    /// Waits until the agent has made that many renewals of tokens and leases since its start.
    pub async fn renewed(&self, times: u32) {
        until_true("renewals", async || self.renewals().await >= f64::from(times)).await;
    }

    /// Waits for two more renewals.
    pub async fn renewed_again(&self) {
        let before = self.renewals().await;
        until_true("more renewals", async || self.renewals().await >= before + 2.0).await;
    }

    async fn renewals(&self) -> f64 {
        let renewed = ["kind=\"renew\"", "status=\"200\""];
        self.csi.metrics().await.sum("coffer_vault_requests_total", &renewed)
    }

    /// Returns the number of tokens that the agent has revoked since its start.
    pub async fn revoked(&self) -> usize {
        self.csi.metrics().await.sum("coffer_revocations_total", &["outcome=\"revoked\""]) as usize
    }

    /// Mounts, which must succeed.
    ///
    /// # Panics
    /// If the mount fails.
    pub async fn mount(&self, call: &MountCall) -> Mounted {
        self.csi.mount(call).await.expect("the mount succeeds")
    }
}

fn options(
    node: &str,
    vault: &str,
    dir: &Path,
    limits: Option<&ProcessLimits>,
    flags: &[String],
) -> CsiOptions {
    let options = match limits {
        Some(limits) => Csi::options().limits(limits),
        None => Csi::options(),
    };
    let options = options
        .socket(&dir.join("vault.sock"))
        .env("KUBECONFIG", kubeconfig(dir))
        .env("NODE_NAME", node)
        .flag(format!("-vault-addr={vault}"))
        .flag(format!("-state-dir={}", state(dir).display()));
    flags.iter().fold(options, CsiOptions::flag)
}

fn kubeconfig(dir: &Path) -> PathBuf {
    dir.join("coffer.kubeconfig")
}

fn state(dir: &Path) -> PathBuf {
    dir.join("state")
}
