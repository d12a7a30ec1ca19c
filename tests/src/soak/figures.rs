//! What must not grow: memory, file descriptors, threads.

use std::time::Duration;

use super::breach::{Breach, BreachKind};

/// The age from which a process counts: what it makes at its start is made by then. Short runs have
/// less time for that.
const WARM: Duration = Duration::from_secs(30);

/// By how much the resident memory may grow, in KiB.
const MEMORY: f64 = 1024.0;

/// The same in a short run, whose quarters are too short for all that fills once.
const MEMORY_OF_SHORT: f64 = 8192.0;

/// By how many the descriptors may grow that are no connections to Vault: one connection more of
/// the driver, and one more to kube-apiserver, which both are made anew after faults.
const DESCRIPTORS: f64 = 2.0;

/// How many idle connections to Vault the agent keeps at most.
const IDLE_CONNECTIONS: f64 = 16.0;

/// By how many the threads may grow.
const THREADS: f64 = 0.0;

/// How often a quarter must have been measured.
const ENOUGH: usize = 5;

/// The agent's figures at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct AgentSample {
    /// When.
    pub(super) at: Duration,
    /// How long the process had been running.
    pub(super) age: Duration,
    /// Resident memory in KiB.
    pub(super) resident: u64,
    /// The part of it that belongs to no file.
    pub(super) anonymous: u64,
    /// Open file descriptors that are no connections to Vault.
    pub(super) descriptors: usize,
    /// Connections to Vault.
    pub(super) connections: usize,
    /// Threads.
    pub(super) threads: usize,
}

/// The figures of a quarter of the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct QuarterFigures {
    /// Medians, in KiB.
    pub(super) resident: f64,
    pub(super) anonymous: f64,
    /// The least numbers: what is forgotten stays.
    pub(super) descriptors: f64,
    pub(super) connections: f64,
    /// The median.
    pub(super) threads: f64,
}

/// Returns the figures of the first and of the last quarter; `None` for one with too few samples.
pub(super) fn quarters(samples: &[AgentSample], length: Duration) -> [Option<QuarterFigures>; 2] {
    let quarter = length / 4;
    let warm = WARM.min(length / 16);
    let between = |from: Duration, to: Duration| {
        let within = samples.iter().filter(|sample| (from..to).contains(&sample.at) && sample.age >= warm);
        QuarterFigures::of(&within.collect::<Vec<_>>())
    };
    [between(Duration::ZERO, quarter), between(length - quarter, length)]
}

/// Judges the last quarter by the first.
pub(super) fn judge_growth(quarters: &[Option<QuarterFigures>; 2], is_short: bool) -> Vec<Breach> {
    let memory = if is_short { MEMORY_OF_SHORT } else { MEMORY };
    let breach = |subject: &str, kind| Breach { subject: subject.to_owned(), file: String::new(), kind };
    let [Some(first), Some(last)] = quarters else {
        return vec![breach("the agent's figures", BreachKind::NotMeasured)];
    };
    let figures = [
        ("resident memory in KiB", first.resident, last.resident, memory),
        ("open file descriptors", first.descriptors, last.descriptors, DESCRIPTORS),
        ("connections to Vault", 0.0, last.connections, IDLE_CONNECTIONS),
        ("threads", first.threads, last.threads, THREADS),
    ];
    let grown = figures.into_iter().filter(|(_, first, last, allowed)| last - first > *allowed);
    grown
        .map(|(subject, first, last, allowed)| breach(subject, BreachKind::Grown { first, last, allowed }))
        .collect()
}

impl QuarterFigures {
    fn of(samples: &[&AgentSample]) -> Option<Self> {
        if samples.len() < ENOUGH {
            return None;
        }
        let median = |figure: fn(&AgentSample) -> f64| median(samples.iter().map(|sample| figure(sample)));
        Some(Self {
            resident: median(|sample| sample.resident as f64),
            anonymous: median(|sample| sample.anonymous as f64),
            descriptors: samples.iter().map(|sample| sample.descriptors).min()? as f64,
            connections: samples.iter().map(|sample| sample.connections).min()? as f64,
            threads: median(|sample| sample.threads as f64),
        })
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    /// A process that runs for an hour, with these figures in its last quarter.
    fn run(resident: u64, descriptors: usize, threads: usize) -> Vec<AgentSample> {
        run_with_connections(resident, descriptors, threads, 16)
    }

    fn run_with_connections(
        resident: u64,
        descriptors: usize,
        threads: usize,
        connections: usize,
    ) -> Vec<AgentSample> {
        let sample = |second: u64| {
            let at = Duration::from_secs(second);
            let last = second >= 2700;
            AgentSample {
                at,
                age: at,
                resident: if last { resident } else { 10_000 },
                anonymous: 4_000,
                descriptors: if last { descriptors } else { 20 },
                connections: if last { connections } else { 3 },
                threads: if last { threads } else { 3 },
            }
        };
        (0..3600).step_by(10).map(sample).collect()
    }

    fn grown(samples: &[AgentSample]) -> Vec<String> {
        judge_growth(&quarters(samples, HOUR), false).into_iter().map(|breach| breach.subject).collect()
    }

    #[test]
    fn what_grows_is_a_breach() {
        assert!(grown(&run(11_000, 22, 3)).is_empty());
        assert_eq!(grown(&run(12_048, 20, 3)), ["resident memory in KiB"]);
        assert_eq!(grown(&run(10_000, 23, 3)), ["open file descriptors"]);
        assert_eq!(grown(&run_with_connections(10_000, 20, 3, 17)), ["connections to Vault"]);
        assert_eq!(grown(&run(10_000, 20, 4)), ["threads"]);
    }

    #[test]
    fn a_short_run_may_fill_more() {
        let grown = |resident| judge_growth(&quarters(&run(resident, 20, 3), HOUR), true).len();
        assert_eq!([grown(18_000), grown(18_300)], [0, 1]);
    }

    #[test]
    fn a_process_that_has_just_started_does_not_count() {
        let mut samples = run(10_000, 20, 3);
        for sample in samples.iter_mut().filter(|sample| sample.at >= Duration::from_secs(3000)) {
            (sample.age, sample.resident) = (Duration::from_secs(5), 90_000);
        }
        assert!(grown(&samples).is_empty());
    }

    #[test]
    fn a_quarter_that_was_not_measured_is_a_breach() {
        let samples = run(10_000, 20, 3);
        assert_eq!(grown(&samples[..samples.len() / 2]), ["the agent's figures"]);
    }
}
