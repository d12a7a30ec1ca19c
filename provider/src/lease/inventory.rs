//! The inventory of tokens and answers for `coffer status`. An inventory has no secret value, no
//! token and no accessor.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Background;
use crate::lifetime::{Lifetime, Renewal};
use crate::session::{AnswerUse, IssuedTerm, Session, SessionState};

/// The tokens and answers that the process holds now, and the volumes that fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Whether leases are stored and renewed now.
    pub kept: bool,
    /// The entries, sorted by namespace, pod, service account, kind and path. Tokens come before
    /// leases.
    pub entries: Vec<Entry>,
    /// The volumes whose latest mount failed, sorted by namespace, pod and class. The process adds
    /// them, which sees how mounts end.
    #[serde(default)]
    pub failing: Vec<FailingMount>,
}

/// A volume whose latest mount failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingMount {
    /// Namespace of the pod.
    pub namespace: String,
    /// The name of the pod.
    pub pod: String,
    /// The SecretProviderClass.
    pub class: String,
    /// Seconds since the first failure in the row.
    pub failing_for: u64,
    /// Seconds since the last good mount; none if there was none.
    pub good_before: Option<u64>,
    /// The kind of the latest failure, as in the label `outcome` of the metrics.
    pub kind: String,
    /// The text of the latest failure, as the driver got it.
    pub error: String,
}

/// One entry of an [`Inventory`]: a token, a lease, a certificate, or a cached read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Namespace of the pod and the service account.
    pub namespace: String,
    /// The name of the pod; empty if a service account reads without a pod.
    pub pod: String,
    /// The service account.
    pub service_account: String,
    /// The kind of entry.
    pub kind: Kind,
    /// The SecretProviderClass; empty for a token.
    pub class: String,
    /// `objectName` of each file that comes from the answer.
    pub objects: Vec<String>,
    /// The path in Vault of the request.
    pub path: String,
    /// Seconds until the next renewal; none if there is no further renewal.
    pub renewal_in: Option<u64>,
    /// Seconds until the end; none if there is no end.
    pub ends_in: Option<u64>,
    /// Whether the pod is gone, and the token is not revoked yet.
    pub revoking: bool,
}

/// The kind of an [`Entry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A Vault token.
    Token,
    /// An issued answer with a lease.
    Lease,
    /// A certificate without a lease.
    Certificate,
    /// A cached read, which is used again within the class's `refreshInterval`.
    Secret,
}

/// Returns the inventory at any time while the process runs.
#[derive(Clone)]
pub struct InventorySource(pub(super) Arc<Background>);

impl InventorySource {
    /// Returns the current inventory.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let Background { clock, sessions, leases, .. } = &*self.0;
        let now = clock.now();
        let held = sessions.all().into_iter().chain(sessions.ended());
        let mut entries: Vec<Entry> = held.flat_map(|session| entries(&session, now)).collect();
        entries.sort_by(|a, b| order(a).cmp(&order(b)));
        Inventory { kept: leases.active().is_some(), entries, failing: Vec::new() }
    }
}

fn order(entry: &Entry) -> (&str, &str, &str, Kind, &str) {
    (&entry.namespace, &entry.pod, &entry.service_account, entry.kind, &entry.path)
}

fn entries(session: &Session, now: Instant) -> Vec<Entry> {
    let token = Entry {
        namespace: session.key.identity.namespace.clone(),
        pod: session.pod_name().to_owned(),
        service_account: session.key.identity.service_account.clone(),
        kind: Kind::Token,
        class: String::new(),
        objects: Vec::new(),
        path: format!("auth/{}/login", session.key.auth_mount),
        renewal_in: None,
        ends_in: None,
        revoking: session.state() == SessionState::Ended,
    };
    let of_answer = |kind, AnswerUse { class, objects, path }: AnswerUse| Entry {
        kind,
        class,
        objects,
        path,
        ..token.clone()
    };
    let living = session.logins.living(now);
    let mut entries: Vec<Entry> =
        living.iter().map(|living| with_lifetime(token.clone(), living.lifetime(), now)).collect();
    for held in session.issued.living(now).iter() {
        entries.push(match &held.term {
            IssuedTerm::Lease { lifetime, .. } => {
                with_lifetime(of_answer(Kind::Lease, held.about.clone()), Some(*lifetime), now)
            }
            IssuedTerm::Certificate { until, .. } => Entry {
                ends_in: Some(seconds(until.saturating_duration_since(now))),
                ..of_answer(Kind::Certificate, held.about.clone())
            },
        });
    }
    entries.extend(session.reads.uses().into_iter().map(|about| of_answer(Kind::Secret, about)));
    entries
}

fn with_lifetime(entry: Entry, lifetime: Option<Lifetime>, now: Instant) -> Entry {
    let until = |at: Instant| seconds(at.saturating_duration_since(now));
    Entry {
        renewal_in: lifetime.and_then(|lifetime| match lifetime.renewal {
            Renewal::At(at) | Renewal::InProgress(at) => Some(until(at)),
            Renewal::Never => None,
        }),
        ends_in: lifetime.map(|lifetime| until(lifetime.until)),
        ..entry
    }
}

/// Returns whole seconds, rounded up, so that 0 means the end has come.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
