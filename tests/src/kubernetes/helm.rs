//! Helm, the chart, and the plain manifests that are rendered from the chart.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::ensure;
use serde::Deserialize;
use serde_json::Value;

use super::programs::ServerProgram;
use crate::binaries::workspace;

/// The supported generations of Helm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helm {
    /// Helm 3.
    V3,
    /// Helm 4, which uses server-side apply.
    V4,
}

impl Helm {
    /// All generations.
    pub const ALL: [Self; 2] = [Self::V3, Self::V4];

    /// Returns the program.
    ///
    /// # Panics
    /// If it is not built.
    pub fn program(self) -> PathBuf {
        ServerProgram::Helm(self).path()
    }

    /// Runs Helm, with that kubeconfig if there is one. Helm's own files are in a temporary
    /// directory.
    ///
    /// # Panics
    /// If Helm cannot be run.
    pub fn run(self, arguments: &[&str], kubeconfig: Option<&Path>) -> Output {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(ServerProgram::Helm(self).path());
        command.env_clear().env("HOME", home.path()).args(arguments);
        if let Some(kubeconfig) = kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        command.output().expect("helm runs")
    }

    /// Returns what `helm template` prints for the chart with these values, in namespace `coffer`.
    ///
    /// # Errors
    /// What Helm prints when it refuses the values.
    pub fn template(self, values: &[&str]) -> anyhow::Result<String> {
        let chart = chart().display().to_string();
        // Without a cluster, Helm 3 assumes an old one.
        let mut arguments = vec!["template", "coffer", &chart, "--namespace=coffer", "--kube-version=1.36.2"];
        arguments.extend(values);
        let output = self.run(&arguments, None);
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        ensure!(output.status.success(), text(&output.stderr));
        Ok(text(&output.stdout))
    }
}

impl fmt::Display for Helm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V3 => "3",
            Self::V4 => "4",
        })
    }
}

/// Returns the chart's folder.
pub fn chart() -> PathBuf {
    workspace().join("charts/coffer")
}

/// Returns the value sets that tests install: each name with its arguments for Helm. `default` has
/// none, the others are files in `ci/`.
///
/// # Panics
/// If the folder cannot be read.
pub fn value_sets() -> Vec<(String, Vec<String>)> {
    let mut sets = vec![("default".to_owned(), Vec::new())];
    for entry in std::fs::read_dir(chart().join("ci")).expect("the folder ci of the chart") {
        let entry = entry.expect("a file of values");
        let name = entry.file_name().to_string_lossy().into_owned();
        sets.push((name, vec!["--values".to_owned(), entry.path().display().to_string()]));
    }
    sets.sort();
    sets
}

/// Returns the folder of the plain manifests.
pub fn shipped_folder() -> PathBuf {
    workspace().join("deploy")
}

/// Renders the plain manifests from the chart with its default values, by file name.
///
/// # Panics
/// If the chart cannot be rendered.
pub fn render_manifests() -> BTreeMap<String, String> {
    render(&["--set=csi.createNamespace=true"])
}

/// Renders the plain manifests of `deploy/monitoring`, by file name.
///
/// # Panics
/// If the chart cannot be rendered.
pub fn render_monitoring() -> BTreeMap<String, String> {
    const FILES: [&str; 4] =
        ["grafana-dashboard.yaml", "network-policy.yaml", "prometheus-rule.yaml", "service-monitors.yaml"];
    let parts = ["serviceMonitor", "prometheusRule", "grafanaDashboard"];
    let values = parts.map(|part| format!("--set={part}.enabled=true"));
    let mut files = render(&values.each_ref().map(String::as_str));
    files.retain(|name, _| FILES.contains(&name.as_str()));
    files
}

fn render(values: &[&str]) -> BTreeMap<String, String> {
    const HEAD: &str = "# Rendered from charts/coffer by `cargo xtask manifests`.\n";
    let text = Helm::V4.template(values).expect("the chart");
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for document in text.split("---\n# Source: coffer/templates/").skip(1) {
        let (name, document) = document.split_once('\n').expect("a document below its name");
        let file = files.entry(name.to_owned()).or_insert_with(|| HEAD.to_owned());
        if file.len() > HEAD.len() {
            file.push_str("---\n");
        }
        file.push_str(document.trim());
        file.push('\n');
    }
    files
}

/// Parses a text of YAML documents into objects.
///
/// # Panics
/// If the text is not YAML.
pub fn objects(yaml: &str) -> Vec<Value> {
    // The leading `---` and templates that render nothing leave documents without an object.
    let documents = serde_saphyr::from_multiple::<Option<YamlObject>>(yaml).expect("YAML");
    documents.into_iter().flatten().map(|YamlObject(value)| value).collect()
}

#[derive(Deserialize)]
struct YamlObject(Value);
