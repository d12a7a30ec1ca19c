//! A round: some workers repeat one operation for a while.

use std::time::{Duration, Instant};

use coffer_tests::Process;
use futures_util::future::join_all;

/// How long the benchmark takes: how many rounds each load has, and how long a round is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunSize {
    pub(crate) rounds: usize,
    pub(crate) round_length: Duration,
    /// How often pods with leases are republished.
    pub(crate) republishes: u32,
}

impl RunSize {
    /// For figures.
    pub(crate) const FULL: Self = Self { rounds: 7, round_length: Duration::from_secs(2), republishes: 30 };

    /// For a look at whether the benchmark works.
    pub(crate) const QUICK: Self =
        Self { rounds: 2, round_length: Duration::from_millis(300), republishes: 10 };
}

/// An operation that several workers repeat at once.
pub(crate) trait Load {
    async fn once(&self, worker: usize);
}

/// What a round measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// How many operations there were.
    pub(crate) count: usize,
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) longest: Duration,
}

impl Round {
    pub(crate) fn new(mut latencies: Vec<Duration>, took: Duration) -> Self {
        latencies.sort_unstable();
        let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
        let count = latencies.len();
        Self {
            count,
            per_second: count as f64 / took.as_secs_f64(),
            p50: at(50),
            p99: at(99),
            longest: at(100),
        }
    }
}

/// Runs a round.
pub(crate) async fn run(workers: usize, length: Duration, load: &impl Load) -> Round {
    let begun = Instant::now();
    let work = |worker| async move {
        let mut latencies = Vec::new();
        while begun.elapsed() < length {
            let one = Instant::now();
            load.once(worker).await;
            latencies.push(one.elapsed());
        }
        latencies
    };
    let latencies = join_all((0..workers).map(work)).await.concat();
    Round::new(latencies, begun.elapsed())
}

/// Runs a round that is a process's first: it is slower than others, and its figures do not count.
pub(crate) async fn warm_up(workers: usize, size: RunSize, load: &impl Load) {
    run(workers, size.round_length / 4, load).await;
}

/// Adds the CPU time that a process used during a round.
pub(crate) async fn with_cpu(process: &Process, round: impl Future<Output = Round>) -> (Round, Duration) {
    let before = process.cpu_time();
    let round = round.await;
    (round, process.cpu_time() - before)
}
