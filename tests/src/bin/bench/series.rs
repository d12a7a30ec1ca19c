//! The rounds of one kind of load, and a table's row of them.

use std::time::Duration;

use crate::rounds::Round;

/// Rounds, and the CPU time that they cost the program under load.
#[derive(Debug, Default)]
pub(crate) struct Series {
    pub(crate) rounds: Vec<Round>,
    cpu: Duration,
}

impl Series {
    /// The head of a table of [rows](Self::row).
    pub(crate) fn print_head() {
        println!(
            "\n| at once | what | a second | p50 ms | p99 ms | of bare GETs | p50 to GET's | CPU ms each |"
        );
        println!("|---:|---|---:|---:|---:|---:|---:|---:|");
    }

    pub(crate) fn add(&mut self, round: Round, cpu: Duration) {
        self.rounds.push(round);
        self.cpu += cpu;
    }

    /// The median of a figure over the rounds.
    pub(crate) fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }

    /// The median of a figure's ratio to that of the other series' round beside it.
    pub(crate) fn ratio(&self, other: &Self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().zip(&other.rounds).map(|(one, other)| figure(one) / figure(other)))
    }

    pub(crate) fn row(&self, at_once: usize, what: &str, bare: Option<&Self>) -> String {
        let rate = |round: &Round| round.per_second;
        let p50 = |round: &Round| milliseconds(round.p50);
        let p99 = |round: &Round| milliseconds(round.p99);
        let compared = bare.map_or_else(
            || "| | ".to_owned(),
            |bare| {
                let count: usize = self.rounds.iter().map(|round| round.count).sum();
                let cpu = milliseconds(self.cpu) / count as f64;
                let share = 100.0 * self.ratio(bare, rate);
                format!("{share:.0} % | {:.2} x | {cpu:.3}", self.ratio(bare, p50))
            },
        );
        let (rate, p50, p99) = (self.median(rate), self.median(p50), self.median(p99));
        format!("| {at_once} | {what} | {rate:.0} | {p50:.2} | {p99:.2} | {compared} |")
    }
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Memory as a table shows it.
pub(crate) fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}
