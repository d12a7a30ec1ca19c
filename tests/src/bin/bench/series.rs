//! The rounds of one load, and a table's row of them.

use std::time::Duration;

use crate::rounds::Round;

/// Rounds, and the CPU time that they cost the program under load.
#[derive(Debug, Default)]
pub(crate) struct Series {
    pub(crate) rounds: Vec<Round>,
    /// The sum over all rounds: of a single round, the kernel's steps of 10 ms are too coarse.
    cpu: Duration,
}

impl Series {
    /// Prints the head of a table of [rows](Self::row).
    pub(crate) fn print_head() {
        println!(
            "\n| at once | what | a second | p50 ms | p99 ms | of bare GETs | p50 to GET's | CPU ms each |"
        );
        println!("|---:|---|---:|---:|---:|---:|---:|---:|");
    }

    pub(crate) fn add(&mut self, (round, cpu): (Round, Duration)) {
        self.rounds.push(round);
        self.cpu += cpu;
    }

    /// Returns the median of a figure over the rounds.
    pub(crate) fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }

    /// Returns the median, over the rounds, of a figure's ratio to the same figure of the other
    /// series' round.
    pub(crate) fn ratio(&self, other: &Self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().zip(&other.rounds).map(|(one, other)| figure(one) / figure(other)))
    }

    /// Returns the CPU time of one operation, in milliseconds.
    pub(crate) fn cpu_each(&self) -> f64 {
        let count: usize = self.rounds.iter().map(|round| round.count).sum();
        milliseconds(self.cpu) / count as f64
    }

    /// Returns a row; the columns after p99 are empty without the bare GETs to compare with.
    pub(crate) fn row(&self, at_once: usize, what: &str, bare: Option<&Self>) -> String {
        let compared = bare.map_or_else(
            || "| | ".to_owned(),
            |bare| {
                let share = 100.0 * self.ratio(bare, per_second);
                format!("{share:.0} % | {:.2} x | {:.3}", self.ratio(bare, p50), self.cpu_each())
            },
        );
        let (rate, p50) = (self.median(per_second), self.median(p50));
        let p99 = self.median(|round| milliseconds(round.p99));
        format!("| {at_once} | {what} | {rate:.0} | {p50:.2} | {p99:.2} | {compared} |")
    }
}

pub(crate) fn per_second(round: &Round) -> f64 {
    round.per_second
}

/// Returns the median latency, in milliseconds.
pub(crate) fn p50(round: &Round) -> f64 {
    milliseconds(round.p50)
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Returns memory as a table shows it.
pub(crate) fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}
