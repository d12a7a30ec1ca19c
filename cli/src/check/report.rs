//! What was found, for people and for programs.

use std::fmt::Write;
use std::process::ExitCode;

use coffer_provider::class::Position;
use serde::Serialize;

use crate::report::printable;

/// All that was found.
#[derive(Default)]
pub(crate) struct Report {
    /// How many classes were looked at.
    pub(crate) classes: usize,
    /// What was found in them.
    pub(crate) findings: Vec<Finding>,
    /// What could not be checked, and why.
    pub(crate) failures: Vec<String>,
}

/// One thing that was found.
#[derive(Debug)]
pub(crate) struct Finding {
    /// How bad it is.
    pub(crate) severity: Severity,
    /// In which file.
    pub(crate) file: Option<String>,
    /// Where in it.
    pub(crate) at: Option<Position>,
    /// The class's namespace, where it names one.
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

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// A mount fails.
    Error,
    /// A mount may work and do something else than was meant.
    Warning,
    /// Something was not checked.
    Note,
}

impl Finding {
    /// A finding of which nothing else is known.
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

    /// One line, in the form that editors and CI systems know from compilers.
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

impl Report {
    /// A line for each finding, and a last one that counts.
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

    /// The form that docs/reference.md describes.
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

    /// 2 where something could not be checked, 1 for mistakes, else 0.
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
