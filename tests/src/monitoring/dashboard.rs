//! The shipped dashboard.

use std::fs;

use serde_json::Value;

use crate::kubernetes::chart;

/// A dashboard of Grafana.
pub struct Dashboard(Value);

/// A panel with queries; rows have none, and are left out.
pub struct DashboardPanel {
    /// The title.
    pub title: String,
    /// The row that the panel is in.
    pub row: String,
    /// The type: `timeseries`, `stat` or `table`.
    pub kind: String,
    /// The unit of the values, as Grafana names it.
    pub unit: String,
    /// The queries.
    pub queries: Vec<PanelQuery>,
}

/// A query of a panel.
pub struct PanelQuery {
    /// The expression, with the dashboard's variables in it.
    pub expression: String,
    /// The template of the series' names.
    pub legend: String,
}

impl Dashboard {
    /// Reads the shipped dashboard.
    ///
    /// # Panics
    /// If the file is not JSON.
    pub fn shipped() -> Self {
        let text =
            fs::read_to_string(chart().join("files/dashboard.json")).expect("the file of the dashboard");
        Self(serde_json::from_str(&text).expect("JSON"))
    }

    /// Returns the document.
    pub fn document(&self) -> &Value {
        &self.0
    }

    /// Returns the panels, in their order.
    pub fn panels(&self) -> Vec<DashboardPanel> {
        let mut row = String::new();
        let mut panels = Vec::new();
        for panel in self.0["panels"].as_array().into_iter().flatten() {
            let title = text(&panel["title"]);
            if panel["type"] == "row" {
                row = title;
                continue;
            }
            let queries = panel["targets"].as_array().into_iter().flatten().map(|target| PanelQuery {
                expression: text(&target["expr"]),
                legend: text(&target["legendFormat"]),
            });
            panels.push(DashboardPanel {
                title,
                row: row.clone(),
                kind: text(&panel["type"]),
                unit: text(&panel["fieldConfig"]["defaults"]["unit"]),
                queries: queries.collect(),
            });
        }
        panels
    }
}

impl PanelQuery {
    /// Returns the expression as Grafana sends it: all namespaces and classes, and rates over that
    /// range.
    pub fn expanded(&self, rate_interval: &str) -> String {
        let expression = self.expression.replace("$__rate_interval", rate_interval);
        expression.replace("$namespace", ".*").replace("$class", ".*")
    }

    /// Returns the name of a series with these labels.
    pub fn name(&self, label: impl Fn(&str) -> String) -> String {
        let mut parts = self.legend.split("{{");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |name, part| match part.split_once("}}") {
            Some((key, rest)) => name + &label(key.trim()) + rest,
            None => name + part,
        })
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
