//! The report: one line for each thing that was looked at, for people and for programs.

use std::fmt::Write;
use std::process::ExitCode;

use serde::Serialize;

use crate::table::printable;

/// Everything that was found, in the order in which it was looked at.
#[derive(Debug, Default)]
pub(crate) struct DoctorReport {
    lines: Vec<DoctorLine>,
}

/// What is known of one thing.
#[derive(Debug, Serialize)]
struct DoctorLine {
    /// What was looked at, such as `driver.rotation`. The names are in docs/reference.md.
    check: &'static str,
    status: DoctorStatus,
    message: String,
    /// The command that mends it or, if none can, the one that shows more.
    command: Option<String>,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DoctorStatus {
    /// As it should be.
    Ok,
    /// It works, but not as most installations want it.
    Warning,
    /// Mounts or reads fail, or will.
    Error,
    /// It cannot be seen.
    Unknown,
}

impl DoctorStatus {
    const ALL: [Self; 4] = [Self::Ok, Self::Warning, Self::Error, Self::Unknown];

    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

impl DoctorReport {
    /// Adds that something is as it should be.
    pub(super) fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, DoctorStatus::Ok, message.into(), None);
    }

    /// Adds something that cannot be seen, and why.
    pub(super) fn unknown(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, DoctorStatus::Unknown, message.into(), None);
    }

    /// Adds something that is not as most want it, and the command that changes it.
    pub(super) fn warning(&mut self, check: &'static str, message: impl Into<String>, command: String) {
        self.add(check, DoctorStatus::Warning, message.into(), Some(command));
    }

    /// Adds something that is wrong, and the command that mends it.
    pub(super) fn error(&mut self, check: &'static str, message: impl Into<String>, command: String) {
        self.add(check, DoctorStatus::Error, message.into(), Some(command));
    }

    /// Adds a line.
    pub(super) fn add(
        &mut self,
        check: &'static str,
        status: DoctorStatus,
        message: String,
        command: Option<String>,
    ) {
        self.lines.push(DoctorLine { check, status, message, command });
    }

    /// Returns whether a check has a line that is not ok.
    pub(super) fn has_fault(&self, check: &str) -> bool {
        self.lines.iter().any(|line| line.check == check && line.status != DoctorStatus::Ok)
    }

    /// Formats the report as lines: how it is, what was looked at, what was found, and below that the
    /// command.
    pub(crate) fn text(&self) -> String {
        let width = self.lines.iter().map(|line| line.check.len()).max().unwrap_or_default();
        let mut text = String::new();
        for DoctorLine { check, status, message, command } in &self.lines {
            let _ = writeln!(text, "{:<7}  {check:<width$}  {}", status.word(), printable(message));
            if let Some(command) = command {
                let _ = writeln!(text, "{:<7}  {:<width$}  $ {}", "", "", printable(command));
            }
        }
        let count = |status| format!("{} {}", self.count(status), DoctorStatus::word(status));
        let _ = writeln!(text, "{}", DoctorStatus::ALL.map(count).join(", "));
        text
    }

    /// Formats the report as JSON, as docs/reference.md describes it.
    pub(crate) fn json(&self) -> String {
        let report = serde_json::json!({
            "ok": self.count(DoctorStatus::Ok),
            "warnings": self.count(DoctorStatus::Warning),
            "errors": self.count(DoctorStatus::Error),
            "unknown": self.count(DoctorStatus::Unknown),
            "lines": self.lines,
        });
        format!("{report:#}\n")
    }

    /// Returns 2 if something could not be seen, else 1 if something is wrong, else 0.
    pub(crate) fn exit_code(&self, strict: bool) -> ExitCode {
        let warnings = if strict { self.count(DoctorStatus::Warning) } else { 0 };
        match (self.count(DoctorStatus::Unknown), self.count(DoctorStatus::Error) + warnings) {
            (0, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::from(1),
            _ => ExitCode::from(2),
        }
    }

    fn count(&self, status: DoctorStatus) -> usize {
        self.lines.iter().filter(|line| line.status == status).count()
    }
}
