//! The report of a check: findings, for people and for programs.

use std::fmt::Write;
use std::process::ExitCode;

use coffer_provider::class::Position;
use serde::Serialize;

use crate::table::printable;

/// Everything that was found.
#[derive(Default)]
pub(crate) struct CheckReport {
    /// Number of classes.
    pub(crate) classes: usize,
    /// What was found in the classes.
    pub(crate) findings: Vec<CheckFinding>,
    /// What could not be checked, and why.
    pub(crate) failures: Vec<String>,
}

/// A mistake, a warning or a note.
#[derive(Debug)]
pub(crate) struct CheckFinding {
    /// The severity.
    pub(crate) severity: Severity,
    /// The file; none for the cluster.
    pub(crate) file: Option<String>,
    /// The position in the file.
    pub(crate) at: Option<Position>,
    /// The class's namespace, if the class names one.
    pub(crate) namespace: Option<String>,
    /// The class.
    pub(crate) class: Option<String>,
    /// The parameter.
    pub(crate) parameter: Option<String>,
    /// `objectName` of the object.
    pub(crate) object: Option<String>,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// A mount fails.
    Error,
    /// A mount may work, but not as the class's author expects.
    Warning,
    /// Something was not checked.
    Note,
}

impl CheckFinding {
    /// Returns a finding without a position.
    pub(crate) fn new(severity: Severity, message: String) -> Self {
        Self {
            severity,
            file: None,
            at: None,
            namespace: None,
            class: None,
            parameter: None,
            object: None,
            message,
        }
    }

    /// Formats the finding as one line, as compilers do for editors and CI systems.
    fn line(&self) -> String {
        let mut line = self.file.clone().unwrap_or_else(|| "cluster".to_owned());
        if let Some(Position { line: number, column }) = self.at {
            line += &format!(":{number}:{column}");
        }
        line += match self.severity {
            Severity::Error => ": error: ",
            Severity::Warning => ": warning: ",
            Severity::Note => ": note: ",
        };
        match (&self.namespace, &self.class) {
            (Some(namespace), Some(class)) => line += &format!("{namespace}/{class}: "),
            (None, Some(class)) => line += &format!("{class}: "),
            (_, None) => {}
        }
        if let Some(object) = &self.object {
            line += &format!("object {object:?}: ");
        }
        printable(&(line + &self.message))
    }
}

impl CheckReport {
    /// Formats the report as a line for each finding, and a last line with the numbers.
    pub(crate) fn text(&self) -> String {
        let mut text: String = self.findings.iter().fold(String::new(), |mut text, finding| {
            let _ = writeln!(text, "{}", finding.line());
            text
        });
        let (classes, mistakes, warnings) =
            (self.classes, self.count(Severity::Error), self.count(Severity::Warning));
        let plural = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
        let _ = writeln!(
            text,
            "{}: {}, {}",
            plural(classes, "class", "classes"),
            plural(mistakes, "mistake", "mistakes"),
            plural(warnings, "warning", "warnings"),
        );
        text
    }

    /// Formats the report as JSON, as docs/reference.md describes it.
    pub(crate) fn json(&self) -> String {
        let findings: Vec<_> = self
            .findings
            .iter()
            .map(|finding| {
                serde_json::json!({
                    "severity": finding.severity,
                    "file": finding.file,
                    "line": finding.at.map(|at| at.line),
                    "column": finding.at.map(|at| at.column),
                    "namespace": finding.namespace,
                    "class": finding.class,
                    "parameter": finding.parameter,
                    "object": finding.object,
                    "message": finding.message,
                })
            })
            .collect();
        let report = serde_json::json!({
            "classes": self.classes,
            "mistakes": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "findings": findings,
            "failures": self.failures,
        });
        format!("{report:#}\n")
    }

    /// Returns 2 if something could not be checked, else 1 if there is a mistake, else 0.
    pub(crate) fn exit_code(&self, strict: bool) -> ExitCode {
        let wrong = self.count(Severity::Error) + if strict { self.count(Severity::Warning) } else { 0 };
        match (self.failures.is_empty(), wrong) {
            (false, _) => ExitCode::from(2),
            (true, 0) => ExitCode::SUCCESS,
            (true, _) => ExitCode::from(1),
        }
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}
