//! The report of a conversion, for people and for programs.

use std::fmt::Write;
use std::process::ExitCode;

use coffer_provider::class::Position;
use serde_json::{Value, json};

use super::outcome::ConvertOutcome;
use crate::table::printable;

/// Everything that is said of a conversion.
#[derive(Default)]
pub(super) struct ConvertReport {
    /// Number of workloads that the injector acts on.
    pub(super) workloads: usize,
    /// Number of workloads that were converted.
    pub(super) converted: usize,
    /// What became of each annotation.
    pub(super) findings: Vec<ConvertFinding>,
    /// What could not be read, written or asked, and why.
    pub(super) failures: Vec<String>,
    /// The files that were written.
    pub(super) files: Vec<String>,
}

/// What became of an annotation or a workload.
#[derive(Clone, Debug)]
pub(super) struct ConvertFinding {
    /// What became of it.
    pub(super) outcome: ConvertOutcome,
    /// The file; none for the cluster.
    pub(super) file: Option<String>,
    /// The position in the file.
    pub(super) at: Option<Position>,
    /// The workload's namespace, if it names one.
    pub(super) namespace: Option<String>,
    /// The workload, as `kubectl` names it.
    pub(super) workload: Option<String>,
    /// The annotation.
    pub(super) annotation: Option<String>,
    /// What the class or the pod has instead, or what somebody has to do.
    pub(super) message: String,
}

impl ConvertFinding {
    /// Formats the finding as one line, as compilers do for editors and CI systems.
    fn line(&self) -> String {
        let mut line = self.file.clone().unwrap_or_else(|| "cluster".to_owned());
        if let Some(Position { line: number, column }) = self.at {
            line += &format!(":{number}:{column}");
        }
        line += &format!(": {}: ", self.outcome.words());
        if let Some(workload) = &self.workload {
            let namespace =
                self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
            line += &format!("{namespace}{workload}: ");
        }
        if let Some(annotation) = &self.annotation {
            line += &format!("{annotation}: ");
        }
        printable(&(line + &self.message))
    }
}

impl ConvertReport {
    /// Formats the report as a line for each finding, and a last line with the numbers.
    pub(super) fn text(&self) -> String {
        let mut text = self.findings.iter().fold(String::new(), |mut text, finding| {
            let _ = writeln!(text, "{}", finding.line());
            text
        });
        let numbers = [
            ConvertOutcome::CarriedOver,
            ConvertOutcome::Simplified,
            ConvertOutcome::NothingToDo,
            ConvertOutcome::NeedsPerson,
        ];
        let numbers = numbers.map(|outcome| format!("{} {}", self.count(outcome), outcome.words()));
        let warnings = self.count(ConvertOutcome::Warning);
        let _ = writeln!(
            text,
            "{} of {} {} converted: {}, {warnings} {}",
            self.converted,
            self.workloads,
            if self.workloads == 1 { "workload" } else { "workloads" },
            numbers.join(", "),
            if warnings == 1 { "warning" } else { "warnings" },
        );
        text
    }

    /// Formats the report as JSON, as docs/reference.md describes it, with the manifests if they
    /// are written nowhere else.
    pub(super) fn json(&self, manifests: Option<&str>) -> String {
        let finding = |finding: &ConvertFinding| {
            json!({
                "outcome": finding.outcome,
                "file": finding.file,
                "line": finding.at.map(|at| at.line),
                "column": finding.at.map(|at| at.column),
                "namespace": finding.namespace,
                "workload": finding.workload,
                "annotation": finding.annotation,
                "message": finding.message,
            })
        };
        let report: Value = json!({
            "workloads": self.workloads,
            "converted": self.converted,
            "carried_over": self.count(ConvertOutcome::CarriedOver),
            "simplified": self.count(ConvertOutcome::Simplified),
            "nothing_to_do": self.count(ConvertOutcome::NothingToDo),
            "needs_person": self.count(ConvertOutcome::NeedsPerson),
            "warnings": self.count(ConvertOutcome::Warning),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "failures": self.failures,
            "files": self.files,
            "manifests": manifests,
        });
        format!("{report:#}\n")
    }

    /// Returns 2 if something could not be read, written or asked, else 1 if something needs a
    /// person, else 0.
    pub(super) fn exit_code(&self, strict: bool) -> ExitCode {
        let warnings = if strict { self.count(ConvertOutcome::Warning) } else { 0 };
        match (self.failures.is_empty(), self.count(ConvertOutcome::NeedsPerson) + warnings) {
            (false, _) => ExitCode::from(2),
            (true, 0) => ExitCode::SUCCESS,
            (true, _) => ExitCode::from(1),
        }
    }

    fn count(&self, outcome: ConvertOutcome) -> usize {
        self.findings.iter().filter(|finding| finding.outcome == outcome).count()
    }
}
