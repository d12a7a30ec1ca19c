//! The run from its start to its report.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::task::{JoinError, JoinSet, LocalSet};
use tokio::time::Instant;

use super::draw::{Draw, PlannedFault};
use super::figures::{judge_growth, quarters};
use super::judge::REPUBLISH;
use super::options::SoakOptions;
use super::report::SoakReport;
use super::world::SoakWorld;
use super::{pods, watch};
use crate::wait::until_true_within;

/// How many pods are created at a time at the start.
const CREATED_AT_ONCE: usize = 4;

/// How long the start may take.
const START: Duration = Duration::from_mins(5);

/// How long the end may take until all is revoked and every file is fresh.
const QUIET: Duration = Duration::from_secs(75);

/// Runs a soak, prints what it found, and returns whether all held.
///
/// # Errors
/// If a task of the run panics: the run says nothing then.
pub async fn run_soak(options: &SoakOptions) -> Result<bool, JoinError> {
    // All tasks share one thread: the machine's time is for what is tested.
    LocalSet::new().run_until(run(options)).await
}

async fn run(options: &SoakOptions) -> Result<bool, JoinError> {
    println!("seed {}", options.seed);
    let draw = Draw::new(options);
    let world = Arc::new(SoakWorld::start().await);
    start_pods(&world, options.pods).await;
    world.begin();

    let mut watchers = JoinSet::new();
    watchers.spawn_local(watch::look_again_and_again(Arc::clone(&world)));
    watchers.spawn_local(watch::sample_again_and_again(Arc::clone(&world)));
    let mut actors = JoinSet::new();
    let length = options.length;
    actors.spawn_local(make_faults(Arc::clone(&world), draw.faults.clone(), !options.is_short()));
    actors.spawn_local(replace_pods(Arc::clone(&world), draw.replaced.clone()));
    actors.spawn_local(write_secrets(Arc::clone(&world), draw.written.clone()));
    actors.spawn_local({
        let world = Arc::clone(&world);
        async move { world.until(length).await }
    });
    unless_ended(&mut watchers, async {
        while let Some(ended) = actors.join_next().await {
            ended?;
        }
        Ok(())
    })
    .await?;
    unless_ended(&mut watchers, async {
        settle(&world).await;
        Ok(())
    })
    .await?;
    watchers.shutdown().await;
    Ok(finish(&world, options, &draw))
}

/// Waits for `work`, or for the end of a watcher, which is a panic.
async fn unless_ended(
    watchers: &mut JoinSet<()>,
    work: impl Future<Output = Result<(), JoinError>>,
) -> Result<(), JoinError> {
    tokio::select! {
        done = work => done,
        ended = watchers.join_next() => ended.map_or(Ok(()), |ended| ended),
    }
}

async fn start_pods(world: &Arc<SoakWorld>, count: usize) {
    stream::iter(0..count)
        .for_each_concurrent(CREATED_AT_ONCE, async |number| pods::replace(world, number).await)
        .await;
    until_true_within(START, "all pods to be mounted", async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.pods.living().iter().all(|pod| pod.is_judged())
    })
    .await;
}

/// Makes the faults, one after the other, and tells of each if `tell` is set.
async fn make_faults(world: Arc<SoakWorld>, planned: Vec<PlannedFault>, tell: bool) {
    for PlannedFault { at, length, fault } in planned {
        world.until(at).await;
        let begin = world.now();
        world.ledger().faults.begin(fault.name(), fault.tenant(), begin);
        fault.make(&world, length).await;
        let end = world.now();
        world.ledger().faults.end(end);
        if tell {
            println!("{:>5} s: {fault:?}, {} s", begin.as_secs(), (end - begin).as_secs());
        }
    }
}

async fn replace_pods(world: Arc<SoakWorld>, planned: Vec<(Duration, usize)>) {
    for (at, number) in planned {
        world.until(at).await;
        pods::replace(&world, number).await;
    }
}

async fn write_secrets(world: Arc<SoakWorld>, planned: Vec<(Duration, usize)>) {
    for (at, tenant) in planned {
        world.until(at).await;
        world.write_secret(tenant).await;
    }
}

/// Waits until all pods are republished and everything of the pods that are gone is revoked, at
/// most for [`QUIET`], and keeps the counts that are found then.
async fn settle(world: &SoakWorld) {
    let begun = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let counted = world.count().await;
        let clean = counted.is_some_and(|counts| counts.judge().is_empty());
        if (clean && begun.elapsed() > REPUBLISH) || begun.elapsed() > QUIET {
            let counts = counted.unwrap_or_default();
            world.ledger().end = counts;
            world.note(counts.judge());
            return;
        }
    }
}

/// Judges the figures, writes the report, and returns whether all held.
fn finish(world: &SoakWorld, options: &SoakOptions, draw: &Draw) -> bool {
    let quarters = quarters(&world.ledger().samples, options.length);
    world.note(judge_growth(&quarters, options.is_short()));
    let ledger = world.ledger();
    let report = SoakReport { options, draw, ledger: &ledger, quarters };
    if let Some(directory) = &options.report {
        report.write(directory);
    }
    println!("{}", report.summary());
    ledger.breaches.lines().iter().for_each(|line| println!("{line}"));
    ledger.breaches.len() == 0
}
