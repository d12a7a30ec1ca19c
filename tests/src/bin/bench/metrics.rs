//! What a scrape costs with 10,000 classes that are mounted and then fail, beside one class.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use coffer_tests::{
    Csi, FakeVaultSetup, MountCall, READ_APP, ScrapedMetrics, ScriptedAnswer, TestPod, coffer_binary,
};
use futures_util::stream::{self, StreamExt};

use crate::progress;
use crate::rounds::{Round, RunSize};
use crate::series::milliseconds;

const NAMESPACES: usize = 100;
const CLASSES_OF_EACH: usize = 100;
const SCRAPES: usize = 30;

/// Wait between two scrapes: further ones in a second get the last text.
const BETWEEN_SCRAPES: Duration = Duration::from_millis(60);

/// Mounts the classes, lets all fail, scrapes, and prints the table.
pub(crate) async fn measure(size: RunSize) {
    let one = agent().await;
    let many = agent().await;
    progress("10,000 classes are mounted, and then fail");
    let calls: Vec<MountCall> = (0..NAMESPACES).flat_map(|n| calls(&many, n)).collect();
    for (answer, succeeds) in
        [(ScriptedAnswer::app_secret(), true), (ScriptedAnswer::error(403, "permission denied"), false)]
    {
        many.vault.script("GET", "/v1/kv/app", [answer.clone()]);
        one.vault.script("GET", "/v1/kv/app", [answer]);
        assert_eq!(one.mount(READ_APP).await.is_ok(), succeeds);
        let mounts = stream::iter(&calls).map(|call| many.csi.mount(call)).buffer_unordered(10);
        assert!(mounts.all(async |mounted| mounted.is_ok() == succeeds).await, "mounts end as Vault answers");
    }
    progress("scrapes of both in turn");
    let (mut with_one, mut with_many) = (Scrapes::default(), Scrapes::default());
    for _ in 0..SCRAPES * size.rounds {
        with_one.add(&one.csi).await;
        with_many.add(&many.csi).await;
        tokio::time::sleep(BETWEEN_SCRAPES).await;
    }
    println!(
        "| classes | series with `class`, in all / of one metric | bytes | p50 ms | p99 ms | longest ms |"
    );
    println!("|---:|---:|---:|---:|---:|---:|");
    println!("{}\n{}", with_one.row(1), with_many.row(NAMESPACES * CLASSES_OF_EACH));
}

async fn agent() -> FakeVaultSetup {
    let options = Csi::options().binary(&coffer_binary("coffer-csi"));
    FakeVaultSetup::start_with(options).await
}

/// Returns the calls of one pod with a volume for each class.
fn calls(setup: &FakeVaultSetup, namespace: usize) -> Vec<MountCall> {
    let pod = TestPod::new(&format!("team-{namespace}"), "web");
    let call = setup.call(&pod, READ_APP);
    let call = |n| call.clone().param("secretProviderClass", &format!("class-{n}")).volume(&format!("v{n}"));
    (0..CLASSES_OF_EACH).map(call).collect()
}

/// The scrapes of one agent.
#[derive(Default)]
struct Scrapes {
    times: Vec<Duration>,
    last: Option<ScrapedMetrics>,
}

impl Scrapes {
    async fn add(&mut self, csi: &Csi) {
        let began = Instant::now();
        self.last = Some(csi.metrics().await);
        self.times.push(began.elapsed());
    }

    fn row(self, classes: usize) -> String {
        let text = self.last.map(|metrics| metrics.0).unwrap_or_default();
        let mut series: HashMap<&str, usize> = HashMap::new();
        for name in text.lines().filter_map(|line| line.split_once("{namespace=")).map(|(name, _)| name) {
            *series.entry(name).or_default() += 1;
        }
        let (all, most) =
            (series.values().sum::<usize>(), series.values().max().copied().unwrap_or_default());
        let took = self.times.iter().sum();
        let Round { p50, p99, longest, .. } = Round::new(self.times, took);
        let [p50, p99, longest] = [p50, p99, longest].map(milliseconds);
        format!("| {classes} | {all} / {most} | {} | {p50:.2} | {p99:.2} | {longest:.2} |", text.len())
    }
}
