//! `coffer-csi` under the shipped limits, with a victim, probes and an attacker.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use coffer_tests::kubernetes::LeaseSetup;
use coffer_tests::{ProcessLimits, Servers, Suite};
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};

use crate::mallory::Mallory;
use crate::prober::probe_until;
use crate::report::{Report, ReportTable};
use crate::victim::{Victim, VictimNamespace};

/// `resources.limits.memory` of the agent in `deploy/csi.yaml`, in MiB.
const MEMORY: u64 = 64;

/// How long an attacker has, unless the attack ends by itself.
const ATTACK: Duration = Duration::from_secs(4);

/// How long the victim goes on after the attack.
const AFTERMATH: Duration = Duration::from_secs(1);

/// The servers of all attacks. Every attack has an agent of its own.
pub(crate) struct AgentSetup {
    pub(crate) servers: LeaseSetup,
    victim: Arc<VictimNamespace>,
    table: ReportTable,
}

impl AgentSetup {
    pub(crate) async fn start() -> Self {
        let servers = LeaseSetup::start().await;
        let victim = Arc::new(VictimNamespace::new(&servers).await);
        Self { servers, victim, table: ReportTable::default() }
    }

    /// Starts an agent, lets the attacker loose, and judges the outcome.
    async fn attacked<F: Future<Output = ()>>(
        &self,
        attack: &'static str,
        run: impl FnOnce(Arc<Mallory>) -> F,
    ) {
        static STARTED: AtomicU32 = AtomicU32::new(1);
        let limits = ProcessLimits::memory(MEMORY);
        let name = format!("attacked-{}", STARTED.fetch_add(1, Ordering::Relaxed));
        let mut node = self.servers.limited_node(&name, &limits).await;
        let victim = Victim::settle(&self.victim, &node).await;
        let mallory = Arc::new(Mallory::new(&node));

        let end = watch::Sender::new(false);
        let visits = tokio::spawn(victim.mount_until(end.subscribe()));
        let probes = tokio::spawn(probe_until(mallory.health.clone(), end.subscribe()));
        let held = tokio::spawn(held_until(limits.clone(), end.subscribe()));
        let _ = timeout(ATTACK, run(mallory)).await;
        sleep(AFTERMATH).await;
        end.send_replace(true);

        let (visits, probes, held_bytes) = tokio::join!(visits, probes, held);
        let report = Report {
            attack,
            died: !node.csi.is_running(),
            oom_kills: limits.cgroup().oom_kills(),
            resident_kib: node.csi.process().peak_resident_kib(),
            held_bytes: held_bytes.unwrap(),
            visits: visits.unwrap(),
            probes: probes.unwrap(),
        };
        self.table.judge(report);
    }
}

impl Servers for AgentSetup {
    fn show_logs(&self) {}
}

/// Adds an attack on the agent.
pub(crate) fn attack<F>(
    suite: Suite<AgentSetup>,
    name: &'static str,
    run: impl FnOnce(Arc<Mallory>) -> F + Send + 'static,
) -> Suite<AgentSetup>
where
    F: Future<Output = ()>,
{
    suite.test(name, move |setup| async move { setup.attacked(name, run).await })
}

/// Returns the largest amount of memory that the cgroup was seen to hold.
async fn held_until(limits: ProcessLimits, end: watch::Receiver<bool>) -> u64 {
    let (mut most, mut ticks) = (0, interval(Duration::from_millis(50)));
    while !*end.borrow() {
        ticks.tick().await;
        most = most.max(limits.cgroup().held_bytes());
    }
    most
}
