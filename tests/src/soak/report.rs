//! The report of a soak, in Markdown, and its plot.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::draw::Draw;
use super::figures::QuarterFigures;
use super::ledger::Ledger;
use super::options::SoakOptions;
use crate::plot::{Plot, PlotPanel, PlotUnit};

/// How long after a fault's end what is seen still counts as the fault's.
const AFTERWARDS: Duration = Duration::from_secs(30);

/// The longest time between two points of a curve that are connected, in seconds.
const STEP: f64 = 12.0;

/// Requests to Vault are summed over that many seconds.
const RATE_OVER: u64 = 10;

/// What is reported.
pub(super) struct SoakReport<'a> {
    pub(super) options: &'a SoakOptions,
    pub(super) draw: &'a Draw,
    pub(super) ledger: &'a Ledger,
    pub(super) quarters: [Option<QuarterFigures>; 2],
}

/// What was seen of one kind of fault.
#[derive(Default)]
struct FaultRow {
    count: usize,
    seconds: Duration,
    refused: usize,
    oldest: Duration,
}

impl SoakReport<'_> {
    /// Returns the result in one line.
    pub(super) fn summary(&self) -> String {
        let breaches = self.ledger.breaches.len();
        let held = if breaches == 0 { "all held".to_owned() } else { format!("{breaches} breaches") };
        let [first, last] = self.quarters.map(|quarter| {
            quarter.map_or("unknown".to_owned(), |figures| format!("{:.1} MiB", figures.resident / 1024.0))
        });
        format!(
            "soak of {} minutes with seed {}: {held}; {} faults, {} publishes, {} looks at all files; \
             resident memory {first} in the first quarter, {last} in the last",
            self.options.length.as_secs() / 60,
            self.options.seed,
            self.ledger.faults.spans().len(),
            self.ledger.published,
            self.ledger.looks,
        )
    }

    /// Writes `report.md` and `soak.svg` into a directory.
    ///
    /// # Panics
    /// If they cannot be written.
    pub(super) fn write(&self, directory: &Path) {
        fs::create_dir_all(directory).expect("make the report's directory");
        fs::write(directory.join("report.md"), self.markdown()).expect("write the report");
        self.plot().write(&directory.join("soak.svg"));
    }

    fn markdown(&self) -> String {
        let SoakOptions { length, fault_every, seed, pods, .. } = self.options;
        let command = format!(
            "`cargo xtask soak --minutes {} --seed {seed} --pods {pods} --fault-every {}`",
            length.as_secs() / 60,
            fault_every.as_secs()
        );
        let summary = self.summary();
        let mut text = format!("{command}\n\n{summary}.\n\n{}\n{}\n", self.figures(), self.faults());
        if self.ledger.breaches.len() > 0 {
            let lines = self.ledger.breaches.lines();
            let _ = writeln!(text, "Breaches:\n\n- {}", lines.join("\n- "));
        }
        text
    }

    fn figures(&self) -> String {
        let mut text = "| figure of the agent | first quarter | last quarter |\n|---|---|---|\n".to_owned();
        let mut row = |name: &str, figure: &dyn Fn(&QuarterFigures) -> String| {
            let [first, last] = self.quarters.map(|quarter| quarter.as_ref().map(figure).unwrap_or_default());
            let _ = writeln!(text, "| {name} | {first} | {last} |");
        };
        row("resident memory, median", &|figures| format!("{:.2} MiB", figures.resident / 1024.0));
        row("of it without files, median", &|figures| format!("{:.2} MiB", figures.anonymous / 1024.0));
        row("connections to Vault, least", &|figures| format!("{}", figures.connections));
        row("other file descriptors, least", &|figures| format!("{}", figures.descriptors));
        row("threads, median", &|figures| format!("{}", figures.threads));

        let (ledger, end) = (self.ledger, self.ledger.end);
        let requests: f64 = ledger.requests.iter().map(|(_, number)| number).sum();
        let counts = [
            ("pods that lived at a time", self.options.pods),
            ("pods that were replaced one by one", self.draw.replaced.len()),
            ("secrets that were written one by one", self.draw.written.len()),
            ("publishes that succeeded", ledger.published),
            ("publishes that failed", ledger.refused.len()),
            ("requests to Vault", requests as usize),
            ("looks at all files and users", ledger.looks),
            ("logins to PostgreSQL with a volume's user", ledger.logins),
            ("lines `WARN` in the agent's log", ledger.log.warnings),
            ("lines `ERROR` in the agent's log, each explained by its fault", ledger.log.errors),
            ("users whose request got no answer, by the agent's log", ledger.log.lost),
            ("users that are not used, since the lease before was renewed after all", ledger.log.unused),
            ("credentials replaced, since Vault refused to renew their token", ledger.replaced.len()),
            ("at the end: pods with a user", end.pods),
            ("at the end: users in PostgreSQL", end.users),
            ("at the end: leases of users in Vault", end.leases),
            ("at the end: users whose lease a fault kept Vault from storing", end.unleased),
            ("at the end: tokens of logins in Vault", end.tokens),
        ];
        text.push_str("\n| count | |\n|---|---|\n");
        for (name, number) in counts {
            let _ = writeln!(text, "| {name} | {number} |");
        }
        text
    }

    fn faults(&self) -> String {
        let mut text = "| mark | fault | times | seconds in all | publishes that failed | oldest file |
\
                        |---|---|---|---|---|---|
"
        .to_owned();
        for (mark, (name, row)) in (1..).zip(self.rows()) {
            let _ = writeln!(
                text,
                "| {mark} | {name} | {} | {} | {} | {} s |",
                row.count,
                row.seconds.as_secs(),
                row.refused,
                row.oldest.as_secs()
            );
        }
        text
    }

    fn rows(&self) -> BTreeMap<&'static str, FaultRow> {
        let mut rows: BTreeMap<_, FaultRow> = BTreeMap::new();
        for span in self.ledger.faults.spans() {
            let end = span.end.unwrap_or(span.begin);
            let during = |at: &Duration| (span.begin..end + AFTERWARDS).contains(at);
            let row = rows.entry(span.name).or_default();
            row.count += 1;
            row.seconds += end - span.begin;
            row.refused += self.ledger.refused.iter().filter(|at| during(at)).count();
            let ages = self.ledger.staleness.iter().filter(|(at, _)| during(at)).map(|(_, age)| *age);
            row.oldest = ages.fold(row.oldest, Duration::max);
        }
        rows
    }

    fn plot(&self) -> Plot {
        let samples = |figure: fn(&super::figures::AgentSample) -> f64| {
            self.ledger.samples.iter().map(|sample| (sample.at.as_secs_f64(), figure(sample))).collect()
        };
        let panel = |title: &str, unit, curves: Vec<(&str, Vec<(f64, f64)>)>| PlotPanel {
            title: title.to_owned(),
            unit,
            curves: curves.into_iter().map(|(name, points)| (name.to_owned(), points)).collect(),
        };
        let staleness = self.ledger.staleness.iter().map(|(at, age)| (at.as_secs_f64(), age.as_secs_f64()));
        let panels = vec![
            panel(
                "Memory of the agent",
                PlotUnit::Bytes,
                vec![
                    ("resident", samples(|sample| sample.resident as f64 * 1024.0)),
                    ("without files", samples(|sample| sample.anonymous as f64 * 1024.0)),
                ],
            ),
            panel("Requests to Vault", PlotUnit::PerSecond, vec![("all", self.request_rate())]),
            panel(
                "Oldest of all files: how long Vault has had another value",
                PlotUnit::Seconds,
                vec![("oldest", staleness.collect())],
            ),
            panel(
                "Descriptors, connections and threads of the agent",
                PlotUnit::Number,
                vec![
                    ("connections to Vault", samples(|sample| sample.connections as f64)),
                    ("other file descriptors", samples(|sample| sample.descriptors as f64)),
                    ("threads", samples(|sample| sample.threads as f64)),
                ],
            ),
        ];
        let names: Vec<_> = self.rows().into_keys().collect();
        let marks = self.ledger.faults.spans().iter().map(|span| {
            let row = names.iter().position(|name| *name == span.name).map_or(0, |row| row + 1);
            (row.to_string(), span.begin.as_secs_f64())
        });
        Plot { panels, columns: 2, marks: marks.collect(), step: STEP }
    }

    fn request_rate(&self) -> Vec<(f64, f64)> {
        let mut sums: BTreeMap<u64, f64> = BTreeMap::new();
        for (at, number) in &self.ledger.requests {
            *sums.entry(at.as_secs() / RATE_OVER).or_default() += number;
        }
        let point = |(slot, sum): (u64, f64)| ((slot * RATE_OVER) as f64, sum / RATE_OVER as f64);
        sums.into_iter().map(point).collect()
    }
}
