//! The tables.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::rounds::Round;
use crate::series::{Series, mib};

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
        Series::print_head();
        for (at_once, gets) in &self.gets {
            println!("{}", gets.row(*at_once, "bare GET", None));
            for (what, all) in [("mount, pod known", &self.known), ("mount, new pod", &self.new_pods)] {
                println!("{}", all[at_once].row(*at_once, what, Some(gets)));
            }
        }
        println!("\n| what | |\n|---|---:|");
        println!("| resident memory, idle | {} |", mib(self.resident_idle_kib));
        println!("| resident memory, after 1,000 pods | {} |", mib(self.resident_after_kib));
        println!("| Vault requests, first mount | {:.2} |", self.requests_first);
        println!("| Vault requests, pod known | {:.2} |", self.requests_known);
        println!("| binary | {:.1} MB |", self.binary_bytes as f64 / 1e6);
    }
}
