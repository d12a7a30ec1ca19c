//! How fast mounts are at one concurrency, and what they cost in CPU time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use coffer_tests::Csi;
use tempfile::TempDir;

use super::AgentBuild;
use crate::grpc_go::{VaultRelay, mount_load};
use crate::load::{GetLoad, MountLoad};
use crate::rounds::{self, RunSize, with_cpu};
use crate::series::Series;
use crate::vault::BenchVault;

/// The rounds at one concurrency.
pub(super) struct CsiSpeeds {
    pub(super) at_once: usize,
    pub(super) gets: Series,
    /// Mounts by grpc-go, answered by the relay.
    pub(super) relay: Series,
    pub(super) relay_resident_kib: u64,
    /// One for each build, in their order.
    pub(super) agents: Vec<AgentSpeeds>,
}

/// The rounds of one build.
#[derive(Default)]
pub(super) struct AgentSpeeds {
    /// Republishes by the harness's client.
    pub(super) known: Series,
    /// Republishes by grpc-go.
    pub(super) known_by_grpc_go: Series,
    pub(super) new_pods: Series,
    /// Memory of the process that serves the republishes, after the last round.
    pub(super) resident_kib: u64,
}

impl CsiSpeeds {
    pub(super) async fn measure(
        vault: &BenchVault,
        builds: &[AgentBuild],
        at_once: usize,
        size: RunSize,
    ) -> Self {
        let subjects = Subjects::start(vault, builds, at_once).await;
        subjects.warm_up(at_once, size).await;
        let mut speeds = Self {
            at_once,
            gets: Series::default(),
            relay: Series::default(),
            relay_resident_kib: 0,
            agents: builds.iter().map(|_| AgentSpeeds::default()).collect(),
        };
        for round in 0..size.rounds {
            speeds.add_round(&subjects, vault, size.round_length, round).await;
        }
        speeds.relay_resident_kib = subjects.relay.process().resident_kib();
        for (speeds, agent) in speeds.agents.iter_mut().zip(&subjects.agents) {
            speeds.resident_kib = agent.for_known.process().resident_kib();
        }
        speeds
    }

    async fn add_round(&mut self, subjects: &Subjects, vault: &BenchVault, length: Duration, round: usize) {
        let gets = rounds::run(self.at_once, length, &subjects.gets).await;
        self.gets.add((gets, Duration::ZERO));
        let relay = mount_load(subjects.relay.socket(), subjects.requests(), length);
        self.relay.add(with_cpu(subjects.relay.process(), relay).await);
        let builds = subjects.agents.len();
        for n in 0..builds {
            // Each build is the first one in its turn.
            let n = (n + round) % builds;
            self.agents[n].add_round(&subjects.agents[n], vault, self.at_once, length).await;
        }
    }
}

impl AgentSpeeds {
    async fn add_round(
        &mut self,
        agent: &AgentUnderLoad,
        vault: &BenchVault,
        at_once: usize,
        length: Duration,
    ) {
        let process = agent.for_known.process();
        self.known.add(with_cpu(process, rounds::run(at_once, length, &agent.known)).await);
        let by_grpc_go = mount_load(agent.for_known.socket(), &agent.requests, length);
        self.known_by_grpc_go.add(with_cpu(process, by_grpc_go).await);
        // A number of pods and not a time: each needs a token that is signed beforehand.
        let new = MountLoad::new(agent.for_new.client(), vault, 200 + 8 * at_once);
        self.new_pods.add(with_cpu(agent.for_new.process(), new.each_once(at_once)).await);
    }
}

/// What runs during the rounds.
struct Subjects {
    gets: GetLoad,
    relay: VaultRelay,
    agents: Vec<AgentUnderLoad>,
}

/// A build's two processes. New pods have one of their own: they would push the known pods out of
/// its cache.
struct AgentUnderLoad {
    for_known: Csi,
    for_new: Csi,
    known: MountLoad,
    /// The file with the known pods' requests.
    requests: PathBuf,
    _dir: TempDir,
}

impl Subjects {
    async fn start(vault: &BenchVault, builds: &[AgentBuild], at_once: usize) -> Self {
        let mut agents = Vec::new();
        for build in builds {
            agents.push(AgentUnderLoad::start(vault, build, at_once).await);
        }
        let gets = GetLoad::new(vault.get().await);
        Self { gets, relay: VaultRelay::start(vault).await, agents }
    }

    async fn warm_up(&self, at_once: usize, size: RunSize) {
        rounds::warm_up(at_once, size, &self.gets).await;
        mount_load(self.relay.socket(), self.requests(), size.round_length / 4).await;
        for agent in &self.agents {
            rounds::warm_up(at_once, size, &agent.known).await;
            mount_load(agent.for_known.socket(), &agent.requests, size.round_length / 4).await;
        }
    }

    /// Returns requests for the relay, which does not look at them.
    fn requests(&self) -> &Path {
        &self.agents[0].requests
    }
}

impl AgentUnderLoad {
    async fn start(vault: &BenchVault, build: &AgentBuild, at_once: usize) -> Self {
        let (for_known, for_new) = (build.start(vault).await, build.start(vault).await);
        let known = MountLoad::new(for_known.client(), vault, at_once);
        known.each_once(at_once).await;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let requests = dir.path().join("requests");
        known.write(&requests);
        Self { for_known, for_new, known, requests, _dir: dir }
    }
}
