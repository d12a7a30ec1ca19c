//! Draws the panels of the dashboard during a run of all faults: `cargo xtask picture`.

use std::collections::BTreeMap;

use coffer_tests::monitoring::{Dashboard, DashboardPanel, Fault, FaultRun};
use coffer_tests::{Plot, PlotPanel, PlotUnit, workspace};

/// The range of rates: some intervals of the run's Prometheus.
const RATE_INTERVAL: &str = "4s";

/// Curves in a panel, at most.
const CURVES: usize = 7;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut run = FaultRun::start().await;
    let mut marks = Vec::new();
    for (number, fault) in (1..).zip(Fault::ALL) {
        marks.push((number.to_string(), run.seconds()));
        run.alert(fault).await;
        println!("{number} at {:.0} s: {fault:?}, {}", marks[marks.len() - 1].1, fault.alert());
    }
    let mut panels = Vec::new();
    for panel in Dashboard::shipped().panels().iter().filter(|panel| panel.kind == "timeseries") {
        panels.push(plotted(&run, panel).await);
    }
    let file = workspace().join("docs/dashboard.svg");
    Plot { panels, columns: 3, marks, step: 2.5 }.write(&file);
    println!("{}", file.display());
}

async fn plotted(run: &FaultRun, panel: &DashboardPanel) -> PlotPanel {
    let mut curves = BTreeMap::new();
    for query in &panel.queries {
        for series in run.query(&query.expanded(RATE_INTERVAL)).await {
            let name = query.name(|label| series.labels.get(label).cloned().unwrap_or_default());
            let points = series.samples.iter().map(|(time, value)| (time - run.began(), *value));
            if curves.len() < CURVES {
                curves.insert(name, points.collect());
            }
        }
    }
    let unit = match panel.unit.as_str() {
        "s" => PlotUnit::Seconds,
        "bytes" => PlotUnit::Bytes,
        "reqps" => PlotUnit::PerSecond,
        _ => PlotUnit::Number,
    };
    PlotPanel { title: panel.title.clone(), unit, curves }
}
