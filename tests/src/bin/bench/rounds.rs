//! A round: some workers do one thing again and again for a while.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

/// Something that can be done again and again by several workers.
pub(crate) trait Load {
    async fn once(&self, worker: usize);
}

/// What a round measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
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

/// Runs one.
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
