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
    /// The files that mounts of the classes would get, if Vault was asked.
    pub(crate) files: Vec<LiveFile>,
    /// What could not be checked, and why.
    pub(crate) failures: Vec<String>,
}

/// A mistake, a warning or a note.
#[derive(Debug)]
pub(crate) struct CheckFinding {
    /// The severity.
    pub(crate) severity: Severity,
    /// Where it was found.
    pub(crate) place: CheckPlace,
    /// The parameter.
    pub(crate) parameter: Option<String>,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

/// A file that a mount of a class would get.
pub(crate) struct LiveFile {
    /// Where its object is.
    pub(crate) place: CheckPlace,
    /// The path in the volume.
    pub(crate) path: String,
    /// The size in bytes.
    pub(crate) size: usize,
}

/// Where something is that a report names.
#[derive(Debug, Clone, Default)]
pub(crate) struct CheckPlace {
    /// The file; none for the cluster.
    pub(crate) file: Option<String>,
    /// The position in the file.
    pub(crate) at: Option<Position>,
    /// The class's namespace, if the class names one.
    pub(crate) namespace: Option<String>,
    /// The class.
    pub(crate) class: Option<String>,
    /// `objectName` of the object.
    pub(crate) object: Option<String>,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// A mount fails.
    Error,
    /// A mount may work, but not as the class's author expects.
    Warning,
    /// Something was not checked, or an optional object is absent.
    Note,
}

impl CheckFinding {
    /// Returns a finding without a position.
    pub(crate) fn new(severity: Severity, message: String) -> Self {
        Self { severity, place: CheckPlace::default(), parameter: None, message }
    }

    /// Formats the finding as one line, as compilers do for editors and CI systems.
    fn line(&self) -> String {
        let kind = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        self.place.line(kind, &self.message)
    }

    fn json(&self) -> serde_json::Value {
        let mut finding = self.place.json();
        finding["severity"] = serde_json::json!(self.severity);
        finding["parameter"] = serde_json::json!(self.parameter);
        finding["message"] = serde_json::json!(self.message);
        finding
    }
}

impl LiveFile {
    fn line(&self) -> String {
        self.place.line("file", &format!("{:?}, {} bytes", self.path, self.size))
    }

    fn json(&self) -> serde_json::Value {
        let mut file = self.place.json();
        file["path"] = serde_json::json!(self.path);
        file["bytes"] = serde_json::json!(self.size);
        file
    }
}

impl CheckPlace {
    fn line(&self, kind: &str, message: &str) -> String {
        let mut line = self.file.clone().unwrap_or_else(|| "cluster".to_owned());
        if let Some(Position { line: number, column }) = self.at {
            line += &format!(":{number}:{column}");
        }
        line += &format!(": {kind}: ");
        match (&self.namespace, &self.class) {
            (Some(namespace), Some(class)) => line += &format!("{namespace}/{class}: "),
            (None, Some(class)) => line += &format!("{class}: "),
            (_, None) => {}
        }
        if let Some(object) = &self.object {
            line += &format!("object {object:?}: ");
        }
        printable(&(line + message))
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "file": self.file,
            "line": self.at.map(|at| at.line),
            "column": self.at.map(|at| at.column),
            "namespace": self.namespace,
            "class": self.class,
            "object": self.object,
        })
    }
}

impl CheckReport {
    /// Formats the report as a line for each file and finding, and a last line with the numbers.
    pub(crate) fn text(&self) -> String {
        let lines = self.files.iter().map(LiveFile::line).chain(self.findings.iter().map(CheckFinding::line));
        let mut text: String = lines.map(|line| line + "\n").collect();
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
        let findings: Vec<_> = self.findings.iter().map(CheckFinding::json).collect();
        let files: Vec<_> = self.files.iter().map(LiveFile::json).collect();
        let report = serde_json::json!({
            "classes": self.classes,
            "mistakes": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "findings": findings,
            "files": files,
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
