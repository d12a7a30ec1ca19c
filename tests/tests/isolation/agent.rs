//! `coffer-csi` under the shipped limits, with a victim, probes and an attacker.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use coffer_tests::kubernetes::{LeaseNode, LeaseSetup, Namespace};
use coffer_tests::{ProcessLimits, Servers, Suite};

use crate::mallory::Mallory;
use crate::observe::observe;
use crate::prober::probe_agent;
use crate::report::{Report, ReportTable};
use crate::victim::{Victim, VictimNamespace};

/// `resources.limits.memory` of the agent in `deploy/csi.yaml`, in MiB.
const MEMORY: u64 = 64;

/// The servers of all attacks. Every attack has an agent of its own.
pub(crate) struct AgentSetup {
    servers: LeaseSetup,
    victim: Arc<VictimNamespace>,
    mallory: Namespace,
    table: ReportTable,
}

/// An agent with a victim, on which an attacker is let loose.
pub(crate) struct Stage {
    pub(crate) node: LeaseNode,
    limits: ProcessLimits,
    victim: Victim,
    pub(crate) mallory: Arc<Mallory>,
}

impl AgentSetup {
    pub(crate) async fn start() -> Self {
        let servers = LeaseSetup::start().await;
        let victim = Arc::new(VictimNamespace::new(&servers).await);
        let mallory = servers.cluster.namespace("mallory").await;
        mallory.account("web").await;
        Self { servers, victim, mallory, table: ReportTable::default() }
    }

    /// Starts an agent, and a victim with a leased credential.
    pub(crate) async fn stage(&self) -> Stage {
        static STARTED: AtomicU32 = AtomicU32::new(1);
        let limits = ProcessLimits::memory(MEMORY);
        let name = format!("attacked-{}", STARTED.fetch_add(1, Ordering::Relaxed));
        let node = self.servers.limited_node(&name, &limits).await;
        let victim = Victim::settle(&self.victim, &node).await;
        let mallory = Arc::new(Mallory::new(&node, &self.mallory));
        Stage { node, limits, victim, mallory }
    }

    /// Judges what an attack has done.
    ///
    /// # Panics
    /// If the attack achieved something.
    pub(crate) fn judge(&self, report: Report) {
        self.table.judge(report);
    }
}

impl Stage {
    /// Kills the agent and starts it again within the same limits.
    pub(crate) async fn restart(&mut self) {
        self.node.kill_and_start().await;
        self.victim.move_to(&self.node);
        self.mallory = Arc::new(self.mallory.after_restart(&self.node));
    }

    /// Performs an attack while the victim mounts. Returns what it did, and the agent's log.
    pub(crate) async fn attacked(
        self,
        attack: &'static str,
        run: impl Future<Output = ()>,
    ) -> (Report, String) {
        let Self { node, limits, victim, mallory } = self;
        let (victim, health) = (Arc::new(victim), mallory.health.clone());
        let mount = move |number| Arc::clone(&victim).mount(number);
        let seen = observe(&limits, run, mount, move |path| probe_agent(health.clone(), path)).await;
        let (oom_kills, resident_kib) = (limits.cgroup().oom_kills(), node.csi.process().peak_resident_kib());
        (Report { attack, oom_kills, resident_kib, seen }, node.csi.log())
    }
}

impl Servers for AgentSetup {
    fn show_logs(&self) {}
}

/// Adds an attack on the agent. Where it did nothing but delay the victim, it is tried again on
/// another agent, since the machine may have been busy.
pub(crate) fn attack<F>(
    suite: Suite<AgentSetup>,
    name: &'static str,
    run: impl Fn(Arc<Mallory>) -> F + Send + 'static,
) -> Suite<AgentSetup>
where
    F: Future<Output = ()>,
{
    suite.test(name, move |setup| async move {
        let stage = setup.stage().await;
        let attack = run(Arc::clone(&stage.mallory));
        let mut report = stage.attacked(name, attack).await.0;
        if report.only_slow() {
            let stage = setup.stage().await;
            let attack = run(Arc::clone(&stage.mallory));
            report = stage.attacked(name, attack).await.0;
        }
        setup.judge(report);
    })
}
