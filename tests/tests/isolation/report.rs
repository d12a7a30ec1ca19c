//! What an attack did: to the process, to the victim and to the probes.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The promise: the victim's p99. Programs without optimisation get twice the time.
const SOON: Duration = Duration::from_secs(if cfg!(debug_assertions) { 2 } else { 1 });

/// kubelet restarts a container after that many failed probes in a row.
const FAILED_IN_A_ROW: u32 = 3;

/// The victim's calls.
#[derive(Debug, Default)]
pub(crate) struct Visits {
    latencies: Vec<Duration>,
    failures: Vec<String>,
}

/// The results of probes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Probes {
    made: u32,
    failed: u32,
    in_a_row: u32,
    worst: u32,
}

/// The outcome of one attack.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) attack: &'static str,
    pub(crate) oom_kills: u64,
    /// The largest resident memory; nothing if the process died.
    pub(crate) resident_kib: Option<u64>,
    pub(crate) seen: Observed,
}

/// What was seen during an attack.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) visits: Visits,
    pub(crate) probes: Probes,
    /// The largest amount of memory and tmpfs pages in the cgroup.
    pub(crate) held_bytes: u64,
}

/// The reports of all attacks, printed as a table when dropped.
#[derive(Debug, Default)]
pub(crate) struct ReportTable(Mutex<Vec<Report>>);

impl FromIterator<Result<Duration, String>> for Visits {
    fn from_iter<I: IntoIterator<Item = Result<Duration, String>>>(visits: I) -> Self {
        let mut all = Self::default();
        for visit in visits {
            match visit {
                Ok(latency) => all.latencies.push(latency),
                Err(failure) => all.failures.push(failure),
            }
        }
        all.latencies.sort_unstable();
        all
    }
}

impl Visits {
    /// Returns the latency that so many percent of the calls do not exceed.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

impl Probes {
    pub(crate) fn note(&mut self, success: bool) {
        self.made += 1;
        if success {
            self.in_a_row = 0;
        } else {
            self.failed += 1;
            self.in_a_row += 1;
            self.worst = self.worst.max(self.in_a_row);
        }
    }

    /// Returns the sum of two probes' results.
    pub(crate) fn and(self, other: &Self) -> Self {
        Self {
            made: self.made + other.made,
            failed: self.failed + other.failed,
            in_a_row: 0,
            worst: self.worst.max(other.worst),
        }
    }
}

impl Report {
    /// Returns whether the attack delayed the victim and achieved nothing else.
    pub(crate) fn only_slow(&self) -> bool {
        self.is_slow() && self.damage().len() == 1
    }

    fn is_slow(&self) -> bool {
        self.seen.visits.percentile(99) >= SOON
    }

    /// Returns what the attack achieved.
    fn damage(&self) -> Vec<String> {
        let mut damage = Vec::new();
        let Observed { visits, probes, .. } = &self.seen;
        if self.resident_kib.is_none() || self.oom_kills > 0 {
            damage.push(format!("the process died; killed for want of memory: {}", self.oom_kills));
        }
        let different: BTreeSet<&String> = visits.failures.iter().collect();
        if !different.is_empty() {
            let some: Vec<&str> = different.iter().take(3).map(|failure| failure.as_str()).collect();
            damage.push(format!("{} of its calls failed: {}", visits.failures.len(), some.join("; ")));
        }
        if self.is_slow() {
            damage.push(format!("the victim's p99 is {:?}", visits.percentile(99)));
        }
        if visits.latencies.is_empty() {
            damage.push("the victim was not served at all".to_owned());
        }
        if probes.worst >= FAILED_IN_A_ROW {
            damage.push(format!("{} probes failed in a row", probes.worst));
        }
        damage
    }

    fn row(&self) -> String {
        let mut row = format!("| {} | ", self.attack);
        match self.resident_kib {
            Some(kib) => write!(row, "{:.0}", kib as f64 / 1024.0),
            None => write!(row, "died"),
        }
        .expect("a string takes text");
        let Observed { visits, probes, held_bytes } = &self.seen;
        let (p50, p99) = (visits.percentile(50).as_millis(), visits.percentile(99).as_millis());
        let (served, failed) = (visits.latencies.len(), visits.failures.len());
        let Probes { made, failed: not_answered, .. } = *probes;
        let held = *held_bytes as f64 / f64::from(1 << 20);
        let calls = served + failed;
        let _ =
            write!(row, " | {held:.0} | {failed} of {calls} | {p50} | {p99} | {not_answered} of {made} |");
        row
    }
}

impl ReportTable {
    /// Adds a report.
    ///
    /// # Panics
    /// If the attack achieved something.
    pub(crate) fn judge(&self, report: Report) {
        let (attack, damage, row) = (report.attack, report.damage(), report.row());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(report);
        eprintln!("{row}");
        assert!(damage.is_empty(), "{attack}: {}", damage.join("; "));
    }
}

impl Drop for ReportTable {
    fn drop(&mut self) {
        let reports = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if reports.is_empty() {
            return;
        }
        println!("| attack | resident MiB | held MiB | victim failed | p50 ms | p99 ms | probes failed |");
        println!("|---|---|---|---|---|---|---|");
        reports.iter().for_each(|report| println!("{}", report.row()));
    }
}
