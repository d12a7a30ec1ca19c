//! The tables.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::rounds::Round;

/// All that was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) resident_idle_kib: u64,
    pub(crate) resident_after_kib: u64,
    pub(crate) requests_first: f64,
    pub(crate) requests_known: f64,
    binary_bytes: u64,
    gets: BTreeMap<usize, Series>,
    known: BTreeMap<usize, Series>,
    new_pods: BTreeMap<usize, Series>,
}

#[derive(Debug, Default)]
struct Series {
    rounds: Vec<Round>,
    cpu: Duration,
}

impl Report {
    pub(crate) fn new(binary: &Path) -> Self {
        let binary_bytes = std::fs::metadata(binary).map_or(0, |metadata| metadata.len());
        Self { binary_bytes, ..Self::default() }
    }

    pub(crate) fn gets(&mut self, at_once: usize, round: Round) {
        self.gets.entry(at_once).or_default().rounds.push(round);
    }

    pub(crate) fn known(&mut self, at_once: usize, round: Round, cpu: Duration) {
        self.known.entry(at_once).or_default().add(round, cpu);
    }

    pub(crate) fn new_pods(&mut self, at_once: usize, round: Round, cpu: Duration) {
        self.new_pods.entry(at_once).or_default().add(round, cpu);
    }

    pub(crate) fn print(&self) {
        println!(
            "\n| at once | what | a second | p50 ms | p99 ms | of bare GETs | p50 to GET's | CPU ms each |"
        );
        println!("|---:|---|---:|---:|---:|---:|---:|---:|");
        for (at_once, gets) in &self.gets {
            println!("{}", gets.row(*at_once, "bare GET", None));
            for (what, all) in [("mount, pod known", &self.known), ("mount, new pod", &self.new_pods)] {
                println!("{}", all[at_once].row(*at_once, what, Some(gets)));
            }
        }
        let mib = |kib: u64| format!("{:.1} MiB", kib as f64 / 1024.0);
        println!("\n| what | |\n|---|---:|");
        println!("| resident memory, idle | {} |", mib(self.resident_idle_kib));
        println!("| resident memory, after 1,000 pods | {} |", mib(self.resident_after_kib));
        println!("| Vault requests, first mount | {:.2} |", self.requests_first);
        println!("| Vault requests, pod known | {:.2} |", self.requests_known);
        println!("| binary | {:.1} MB |", self.binary_bytes as f64 / 1e6);
    }
}

impl Series {
    fn add(&mut self, round: Round, cpu: Duration) {
        self.rounds.push(round);
        self.cpu += cpu;
    }

    /// The median of a figure over the rounds.
    fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }

    /// The median of a figure's ratio to that of the other series' round beside it.
    fn ratio(&self, other: &Self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().zip(&other.rounds).map(|(one, other)| figure(one) / figure(other)))
    }

    fn row(&self, at_once: usize, what: &str, bare: Option<&Self>) -> String {
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

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
