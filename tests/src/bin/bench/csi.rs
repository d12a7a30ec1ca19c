//! coffer-csi under load: mounts, beside bare GETs and beside a relay without logic.

mod speed;
mod tables;

use std::fs;
use std::path::PathBuf;

use coffer_tests::{Csi, coffer_binary};

use self::speed::CsiSpeeds;
use crate::load::MountLoad;
use crate::progress;
use crate::rounds::RunSize;
use crate::vault::BenchVault;

const CONCURRENCIES: [usize; 3] = [1, 10, 100];
const PODS: usize = 1000;

/// More sessions than pods mount in all rounds. A full table would evict a session at each new
/// pod's mount, and revoke its token.
const CACHE_SIZE: usize = 20_000;

/// Memory limit in bytes with which one namespace may have that many sessions.
const MEMORY_LIMIT: usize = 1 << 30;

/// Measures the built coffer-csi and, in the same rounds, the one `beside` if there is one. Prints
/// the tables.
pub(crate) async fn measure(size: RunSize, beside: Option<PathBuf>) {
    let vault = BenchVault::start().await;
    let built = AgentBuild { name: "coffer-csi", binary: coffer_binary("coffer-csi") };
    let mut builds = vec![built];
    builds.extend(beside.map(|binary| AgentBuild { name: "beside", binary }));

    let mut footprints = Vec::new();
    for build in &builds {
        progress(&format!("{}: 1,000 pods mount for the first time, then once more", build.name));
        footprints.push(Footprint::measure(&vault, build).await);
    }
    let mut speeds = Vec::new();
    for at_once in CONCURRENCIES {
        progress(&format!("{at_once} at once: bare GETs, the relay, known pods and new pods in turn"));
        speeds.push(CsiSpeeds::measure(&vault, &builds, at_once, size).await);
    }
    tables::print(&builds, &footprints, &speeds);
}

/// A build of coffer-csi that is measured.
struct AgentBuild {
    /// The name in the tables.
    name: &'static str,
    binary: PathBuf,
}

impl AgentBuild {
    async fn start(&self, vault: &BenchVault) -> Csi {
        let options = Csi::options().binary(&self.binary);
        options
            .flag(format!("-vault-addr={}", vault.address()))
            .flag(format!("-cache-size={CACHE_SIZE}"))
            .flag(format!("-memory-limit={MEMORY_LIMIT}"))
            .start()
            .await
    }
}

/// What a build needs: memory, requests to Vault, and disk.
struct Footprint {
    resident_idle_kib: u64,
    /// After the first mounts of 1,000 pods.
    resident_after_kib: u64,
    /// Requests to Vault for the first mount of a pod.
    requests_first: f64,
    /// Requests to Vault for the second mount of a pod.
    requests_known: f64,
    binary_bytes: u64,
}

impl Footprint {
    async fn measure(vault: &BenchVault, build: &AgentBuild) -> Self {
        let csi = build.start(vault).await;
        let resident_idle_kib = csi.process().resident_kib();
        let mounts = MountLoad::new(csi.client(), vault, PODS);
        let before = vault.requests().await;
        mounts.each_once(10).await;
        let first = vault.requests().await;
        let resident_after_kib = csi.process().resident_kib();
        mounts.each_once(10).await;
        let again = vault.requests().await;
        Self {
            resident_idle_kib,
            resident_after_kib,
            requests_first: (first - before) / PODS as f64,
            requests_known: (again - first) / PODS as f64,
            binary_bytes: fs::metadata(&build.binary).expect("the binary").len(),
        }
    }
}
