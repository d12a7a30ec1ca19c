//! The node: the real driver, the agent with leases, and kubelet's part.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::agent_log::AgentLog;
use super::breach::{Breach, BreachKind};
use super::fault_log::FaultLog;
use super::figures::AgentSample;
use crate::fake_time::FakeTime;
use crate::kubernetes::{Cluster, DriverGeneration, DriverProcess, Kubelet, LeaseNode, MountDir, providers};
use crate::metrics::ScrapedMetrics;
use crate::provider::CsiOptions;
use crate::small_file_system::SmallFileSystem;

/// The node's name.
pub(super) const NODE: &str = "soak";

/// The size of the state directory in KiB: the records of all pods take a part of it.
const STATE_KIB: u32 = 4096;

/// The agent with its clock and its state directory.
pub(super) struct SoakAgent {
    node: LeaseNode,
    options: CsiOptions,
    /// When the process was started.
    since: Instant,
    /// The port of Vault, for what the process sees.
    vault: u16,
    /// How much of the process's log has been read.
    read: u64,
    /// The clock of all its processes.
    pub(super) clock: FakeTime,
    /// The file system of its state directory.
    pub(super) state: SmallFileSystem,
}

impl SoakAgent {
    async fn start(cluster: &Cluster, vault: &str, dir: &MountDir) -> Self {
        let (clock, state) = (FakeTime::new(), SmallFileSystem::mount(STATE_KIB));
        let mut node = LeaseNode::on(cluster, NODE, vault, &[]).await;
        let options = node
            .options()
            .socket(&providers(dir.path()).join("vault.sock"))
            .key_in_cluster()
            .flag(format!("-state-dir={}", state.path().display()));
        let options = clock.options(options);
        node.restart_with(options.clone()).await;
        Self { node, options, since: Instant::now(), vault: port(vault), read: 0, clock, state }
    }

    /// Kills the process, without a word.
    pub(super) async fn kill(&mut self) {
        self.node.csi.kill();
        self.node.csi.wait().await;
    }

    /// Ends the process with SIGTERM, as a rolling update does.
    pub(super) async fn stop(&mut self) {
        self.node.stop().await;
    }

    /// Starts the next process. The log of the one before must have been read.
    pub(super) async fn start_again(&mut self) {
        self.node.csi = self.options.clone().start().await;
        (self.since, self.read) = (Instant::now(), 0);
    }

    /// Reads what the process has logged since the last time, and returns what no fault explains.
    pub(super) fn read_log(&mut self, log: &mut AgentLog, now: Duration, faults: &FaultLog) -> Vec<Breach> {
        let (text, read) = self.node.csi.process().log_after(self.read);
        self.read = read;
        log.take(&text, now, faults)
    }

    /// Returns the whole log of the process.
    pub(super) fn log(&self) -> String {
        self.node.csi.log()
    }

    /// Returns the process's figures, or a breach if it has ended by itself.
    pub(super) fn sample(&mut self, at: Duration) -> Result<AgentSample, Breach> {
        let ended =
            || Breach { subject: "the agent".to_owned(), file: String::new(), kind: BreachKind::AgentEnded };
        if !self.node.csi.is_running() {
            return Err(ended());
        }
        let process = self.node.csi.process();
        let connections = process.connections_to(self.vault);
        Ok(AgentSample {
            at,
            age: self.since.elapsed(),
            resident: process.try_resident_kib().ok_or_else(ended)?,
            anonymous: process.anonymous_kib().ok_or_else(ended)?,
            descriptors: process.descriptors().saturating_sub(connections),
            connections,
            threads: process.threads(),
        })
    }

    /// Scrapes the process's metrics; nothing if it does not answer.
    pub(super) async fn metrics(&self) -> Option<ScrapedMetrics> {
        let (status, text) = self.node.csi.get("/metrics").await?;
        (status == 200).then_some(ScrapedMetrics(text))
    }
}

fn port(address: &str) -> u16 {
    address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("an address with a port")
}

/// The driver. Its files are in the node's directory.
pub(super) struct SoakDriver {
    process: Option<DriverProcess>,
    dir: PathBuf,
    kubeconfig: PathBuf,
}

impl SoakDriver {
    async fn start(cluster: &Cluster, dir: &MountDir) -> Self {
        let mut driver = Self {
            process: None,
            dir: dir.path().to_owned(),
            kubeconfig: cluster.driver_kubeconfig().to_owned(),
        };
        driver.start_again().await;
        driver
    }

    /// Kills the process.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    /// Starts the process again after [`Self::kill`], on the same socket.
    pub(super) async fn start_again(&mut self) {
        let _ = fs::remove_file(self.dir.join("csi.sock"));
        let generation = DriverGeneration::V1_6;
        let process = DriverProcess::start(generation, NODE, &self.dir, &self.kubeconfig).await;
        self.process = Some(process);
    }
}

/// Starts the agent, the driver, and kubelet's part on a new node. The directory must outlive the
/// two processes: dropping it undoes the mounts.
pub(super) async fn start(cluster: &Cluster, vault: &str) -> (SoakAgent, SoakDriver, Kubelet, MountDir) {
    let dir = MountDir::new();
    fs::create_dir(providers(dir.path())).expect("make the providers' directory");
    let (agent, driver) =
        tokio::join!(SoakAgent::start(cluster, vault, &dir), SoakDriver::start(cluster, &dir));
    let client = driver.process.as_ref().expect("a driver").client().clone();
    let kubelet = Kubelet::new(cluster.client().clone(), client, dir.path().join("kubelet"));
    (agent, driver, kubelet, dir)
}
