//! What is known of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use super::agent_log::AgentLog;
use super::breach::BreachLog;
use super::counts::EndCounts;
use super::fault_log::FaultLog;
use super::figures::AgentSample;

/// What is known of the run.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) faults: FaultLog,
    pub(super) breaches: BreachLog,
    pub(super) log: AgentLog,
    pub(super) samples: Vec<AgentSample>,
    /// Requests that the agent has made to Vault: when it was asked, and how many since the time
    /// before.
    pub(super) requests: Vec<(Duration, f64)>,
    /// How long Vault has had another value than the oldest of all files.
    pub(super) staleness: Vec<(Duration, Duration)>,
    /// When a publish failed.
    pub(super) refused: Vec<Duration>,
    /// How many publishes succeeded.
    pub(super) published: usize,
    /// When a credential was replaced since Vault refused to renew its token.
    pub(super) replaced: Vec<Duration>,
    /// When each user was first seen in PostgreSQL.
    pub(super) users: BTreeMap<String, Duration>,
    /// How often files, users and logins were judged.
    pub(super) looks: usize,
    pub(super) logins: usize,
    pub(super) end: EndCounts,
}

impl Ledger {
    /// Returns whether a fault kept Vault from storing the lease of a user that was first seen
    /// then.
    pub(super) fn cut_an_issue(&self, seen: Duration) -> bool {
        const CUTTING: [&str; 4] =
            ["vault restarted", "vault sealed", "postgresql restarted", "connections refused"];
        // Users are looked at every few seconds.
        self.faults.on(seen, Duration::from_secs(10)).iter().any(|name| CUTTING.contains(name))
    }
}
