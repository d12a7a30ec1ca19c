//! Which lines of the agent's log a fault explains.

use std::time::Duration;

use super::breach::{Breach, BreachKind};
use super::fault_log::FaultLog;

/// How long after a fault's end a line may still come of it.
const AFTERWARDS: Duration = Duration::from_secs(20);

/// The messages of level `ERROR` that a fault explains, with the names of those faults.
const EXPLAINED: [(&str, &[&str]); 1] = [("leases and tokens are not stored", &["state directory full"])];

/// The message about a request that may have issued something, and whose answer was lost.
const ANSWER_LOST: &str = "no answer came while this path was asked for";

/// The message about what was issued in place of a lease that is renewed after all.
const NOT_USED: &str = "what Vault issued in place of a lease is not used";

/// What the agent has logged.
#[derive(Debug, Default)]
pub(super) struct AgentLog {
    /// Lines of level `ERROR`.
    pub(super) errors: usize,
    /// Lines of level `WARN`.
    pub(super) warnings: usize,
    /// Credentials of the database that may have been issued without anybody knowing them.
    pub(super) lost: usize,
    /// Credentials of the database that the agent does not use, and that end by their TTL.
    pub(super) unused: usize,
}

impl AgentLog {
    /// Takes lines that were logged about now, and returns those that no fault explains. The time
    /// in a line is that of the agent's clock, which may be wrong.
    pub(super) fn take(&mut self, text: &str, now: Duration, faults: &FaultLog) -> Vec<Breach> {
        let on = faults.on(now, AFTERWARDS);
        let mut breaches = Vec::new();
        for line in text.lines() {
            if line.contains("database/creds/") {
                self.lost += usize::from(line.contains(ANSWER_LOST));
                self.unused += usize::from(line.contains(NOT_USED));
            }
            match level(line) {
                Some("ERROR") => self.errors += 1,
                Some("WARN") => {
                    self.warnings += 1;
                    continue;
                }
                _ => continue,
            }
            let explains = |(message, names): &(&str, &[&str])| {
                line.contains(message) && names.iter().any(|name| on.contains(name))
            };
            if !EXPLAINED.iter().any(explains) {
                let kind = BreachKind::UnexplainedError(line.to_owned());
                breaches.push(Breach { subject: "the agent's log".to_owned(), file: String::new(), kind });
            }
        }
        breaches
    }
}

/// Returns the level of a line: `2026-11-27T13:00:00.000000Z ERROR …`.
fn level(line: &str) -> Option<&str> {
    line.split_whitespace().nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "2026-11-27T13:00:00.1Z ERROR coffer: leases and tokens are not stored, so that";
    const OTHER: &str = "2026-11-27T13:00:00.1Z ERROR coffer: a fault in coffer-csi; please report it";

    #[test]
    fn an_error_needs_a_fault_that_explains_it() {
        let at = Duration::from_secs;
        let mut faults = FaultLog::default();
        faults.begin("state directory full", None, at(10));
        faults.end(at(20));
        let mut log = AgentLog::default();
        assert_eq!(log.take(FULL, at(15), &faults).len(), 0);
        assert_eq!(log.take(FULL, at(100), &faults).len(), 1, "no fault is on");
        assert_eq!(log.take(OTHER, at(15), &faults).len(), 1, "another fault's message");
        assert_eq!(log.take("2026-11-27T13:00:00.1Z  WARN coffer: ERROR", at(15), &faults).len(), 0);
        let lost = format!("2026-11-27T13:00:00.1Z  WARN {ANSWER_LOST} path=database/creds/red-1");
        assert_eq!(log.take(&lost, at(15), &faults).len(), 0);
        let unused = format!("2026-11-27T13:00:00.1Z  INFO {NOT_USED}: path=database/creds/red-1");
        assert_eq!(log.take(&unused, at(15), &faults).len(), 0);
        assert_eq!((log.errors, log.warnings, log.lost, log.unused), (3, 2, 1, 1));
    }
}
