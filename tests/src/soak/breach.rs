//! What did not hold.

use std::collections::BTreeMap;
use std::time::Duration;

/// Something that did not hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Breach {
    /// The pod, or what else it is about.
    pub(super) subject: String,
    /// The file in the pod's volume; empty if it is about no file.
    pub(super) file: String,
    /// What was seen.
    pub(super) kind: BreachKind,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum BreachKind {
    /// A file of a volume that was mounted is gone.
    FileGone,
    /// A file holds nothing that Vault ever had.
    NeverInVault,
    /// Files that come from one request come from two answers.
    Mixed,
    /// Vault has had another value for too long.
    Stale {
        /// How long Vault has had another value.
        age: Duration,
        /// How long it may have.
        allowed: Duration,
    },
    /// A pod got another credential, although it had a good one.
    Replaced,
    /// A user in a file is not in PostgreSQL.
    UserDropped,
    /// PostgreSQL does not take user and password of a volume.
    LoginRefused,
    /// A pod is not mounted within its time.
    NotMounted {
        /// How long it has been waiting.
        age: Duration,
        /// How long it may.
        allowed: Duration,
    },
    /// A user of a pod that is gone is still there.
    NotRevoked {
        /// How long the pod has been gone.
        age: Duration,
        /// How long the user may stay.
        allowed: Duration,
    },
    /// The agent ended by itself.
    AgentEnded,
    /// An `ERROR` line in the agent's log that no fault explains.
    UnexplainedError(String),
    /// Something that is counted at the end is not as it must be.
    Count {
        /// What was found.
        found: usize,
        /// The least that there must be.
        least: usize,
        /// The most that there may be.
        most: usize,
    },
    /// Something grew.
    Grown {
        /// The figure of the first quarter.
        first: f64,
        /// The figure of the last quarter.
        last: f64,
        /// By how much it may grow.
        allowed: f64,
    },
    /// A figure could not be taken, so nothing can be said.
    NotMeasured,
}

impl BreachKind {
    /// Returns the name of the kind alone: what is seen again is the same breach.
    fn name(&self) -> &'static str {
        match self {
            Self::FileGone => "gone",
            Self::NeverInVault => "never in Vault",
            Self::Mixed => "mixed",
            Self::Stale { .. } => "stale",
            Self::Replaced => "replaced",
            Self::UserDropped => "user dropped",
            Self::LoginRefused => "login refused",
            Self::NotMounted { .. } => "not mounted",
            Self::NotRevoked { .. } => "not revoked",
            Self::AgentEnded => "agent ended",
            Self::UnexplainedError(_) => "error",
            Self::Count { .. } => "count",
            Self::Grown { .. } => "grown",
            Self::NotMeasured => "not measured",
        }
    }

    /// Returns what was seen, in words.
    fn text(&self) -> String {
        let seconds = |time: &Duration| time.as_secs();
        match self {
            Self::FileGone => "the file is gone".to_owned(),
            Self::NeverInVault => "holds what Vault never had".to_owned(),
            Self::Mixed => "does not come from the same answer as the other files".to_owned(),
            Self::Stale { age, allowed } => {
                format!(
                    "Vault has had another value for {} s, allowed are {} s",
                    seconds(age),
                    seconds(allowed)
                )
            }
            Self::Replaced => "was replaced by another credential".to_owned(),
            Self::UserDropped => "the user is not in PostgreSQL".to_owned(),
            Self::LoginRefused => "PostgreSQL does not take user and password".to_owned(),
            Self::NotMounted { age, allowed } => {
                format!("not mounted after {} s, allowed are {} s", seconds(age), seconds(allowed))
            }
            Self::NotRevoked { age, allowed } => format!(
                "still in PostgreSQL {} s after its pod's end, allowed are {} s",
                seconds(age),
                seconds(allowed)
            ),
            Self::AgentEnded => "ended by itself".to_owned(),
            Self::UnexplainedError(line) => format!("no fault explains: {line}"),
            Self::Count { found, least, most } if least == most => format!("{found}, expected {most}"),
            Self::Count { found, least, most } => format!("{found}, expected {least} to {most}"),
            Self::Grown { first, last, allowed } => {
                format!("{first:.1} in the first quarter, {last:.1} in the last, allowed are {allowed} more")
            }
            Self::NotMeasured => "not measured often enough to be judged".to_owned(),
        }
    }
}

/// The breaches of a run: what is seen again and again is one line.
#[derive(Debug, Default)]
pub(super) struct BreachLog(BTreeMap<(String, String, &'static str), BreachLine>);

#[derive(Debug)]
struct BreachLine {
    first: Duration,
    times: usize,
    text: String,
    faults: Vec<&'static str>,
}

impl BreachLog {
    /// Adds a breach that was seen at that time, while these faults were on. Returns whether it is
    /// a new one.
    pub(super) fn add(&mut self, at: Duration, breach: Breach, faults: &[&'static str]) -> bool {
        let text = breach.kind.text();
        // Each line of a log is a breach of its own.
        let file = match &breach.kind {
            BreachKind::UnexplainedError(line) => line.clone(),
            _ => breach.file,
        };
        let mut is_new = false;
        let line = self.0.entry((breach.subject, file, breach.kind.name())).or_insert_with(|| {
            is_new = true;
            BreachLine { first: at, times: 0, text: text.clone(), faults: faults.to_vec() }
        });
        line.times += 1;
        line.text = text;
        is_new
    }

    /// Returns the number of breaches.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns a line for each breach, in the order of time.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.0.iter().collect();
        lines.sort_by_key(|(_, line)| line.first);
        let text = |((subject, file, kind), line): &(&(String, String, &'static str), &BreachLine)| {
            let place = if file.is_empty() || *kind == "error" { "" } else { " " };
            let file = if place.is_empty() { "" } else { file };
            let faults = if line.faults.is_empty() { "none".to_owned() } else { line.faults.join(", ") };
            format!(
                "{} s: {subject}{place}{file}: {}; seen {} times; faults: {faults}",
                line.first.as_secs(),
                line.text,
                line.times
            )
        };
        lines.iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_again_is_one_line() {
        let mut log = BreachLog::default();
        let breach = |kind| Breach { subject: "red/app-1".to_owned(), file: "user".to_owned(), kind };
        let stale = |age| {
            breach(BreachKind::Stale { age: Duration::from_secs(age), allowed: Duration::from_secs(50) })
        };
        assert!(log.add(Duration::from_secs(5), stale(51), &["agent killed"]));
        assert!(!log.add(Duration::from_secs(8), stale(54), &[]));
        assert!(log.add(Duration::from_secs(2), breach(BreachKind::FileGone), &[]));
        let lines = log.lines();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("2 s: red/app-1 user: the file is gone"), "{lines:?}");
        assert!(lines[1].contains("for 54 s") && lines[1].contains("seen 2 times; faults: agent killed"));
    }
}
