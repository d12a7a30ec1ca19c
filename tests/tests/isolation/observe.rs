//! Watches the process, its probes and the victim during an attack.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use coffer_tests::ProcessLimits;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

use crate::report::{Observed, Probes, Visits};

/// How long an attacker has, unless the attack ends by itself.
const ATTACK: Duration = Duration::from_secs(3);

/// How long the victim goes on after the attack.
const AFTERMATH: Duration = Duration::from_millis(500);

/// How often the victim calls.
const EVERY: Duration = Duration::from_millis(200);

/// kubelet's patience with a probe, and the time between two.
const PROBE: Duration = Duration::from_secs(1);

/// Lets the attacker loose, while the victim calls by numbers, and kubelet probes whether the
/// process lives and is ready. Then waits for the calls that have begun.
pub(crate) async fn observe<V, P>(
    limits: &ProcessLimits,
    attack: impl Future<Output = ()>,
    call: impl Fn(usize) -> V + Send + 'static,
    probe: impl Fn(ProbedPath) -> P + Send + Sync + 'static,
) -> Observed
where
    V: Future<Output = Result<(), String>> + Send + 'static,
    P: Future<Output = bool> + Send + 'static,
{
    let (end_of_calls, end) = (watch::Sender::new(false), watch::Sender::new(false));
    let visits = tokio::spawn(visit_until(end_of_calls.subscribe(), call));
    let probes = tokio::spawn(probe_until(end.subscribe(), probe));
    let held = tokio::spawn(held_until(end.subscribe(), limits.clone()));
    let _ = timeout(ATTACK, attack).await;
    sleep(AFTERMATH).await;
    end_of_calls.send_replace(true);
    let visits = visits.await.unwrap();
    end.send_replace(true);
    let (probes, held) = tokio::join!(probes, held);
    Observed { visits, probes: probes.unwrap(), held_bytes: held.unwrap() }
}

/// What a probe asks.
#[derive(Clone, Copy)]
pub(crate) enum ProbedPath {
    Live,
    Ready,
}

async fn visit_until<V>(end: watch::Receiver<bool>, call: impl Fn(usize) -> V) -> Visits
where
    V: Future<Output = Result<(), String>> + Send + 'static,
{
    let (mut calls, mut ticks) = (JoinSet::new(), interval(EVERY));
    let mut ended = pin!(ended(end));
    for number in 0.. {
        tokio::select! {
            _ = ticks.tick() => {
                let call = call(number);
                calls.spawn(async move {
                    let begun = Instant::now();
                    call.await.map(|()| begun.elapsed())
                });
            }
            _ = &mut ended => break,
        }
    }
    calls.join_all().await.into_iter().collect()
}

async fn probe_until<P: Future<Output = bool>>(
    end: watch::Receiver<bool>,
    probe: impl Fn(ProbedPath) -> P,
) -> Probes {
    let (mut live, mut ready, mut ticks) = (Probes::default(), Probes::default(), interval(PROBE));
    let mut ended = pin!(ended(end));
    let in_time = async |path| timeout(PROBE, probe(path)).await.unwrap_or(false);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let both = tokio::join!(in_time(ProbedPath::Live), in_time(ProbedPath::Ready));
                live.note(both.0);
                ready.note(both.1);
            }
            _ = &mut ended => return live.and(&ready),
        }
    }
}

/// Returns the largest amount of memory that the cgroup was seen to hold.
async fn held_until(end: watch::Receiver<bool>, limits: ProcessLimits) -> u64 {
    let (mut most, mut ticks) = (0, interval(Duration::from_millis(50)));
    while !*end.borrow() {
        ticks.tick().await;
        most = most.max(limits.cgroup().held_bytes());
    }
    most
}

async fn ended(mut end: watch::Receiver<bool>) {
    let _ = end.wait_for(|end| *end).await;
}
