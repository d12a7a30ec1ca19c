//! What is held, for people: no value, no token, no accessor.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Background;
use crate::lifetime::{Lifetime, Renewal};
use crate::session::{AnswerUse, IssuedTerm, Session, SessionState};

/// Tokens and answers that are held at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Whether leases are kept and renewed at this moment.
    pub kept: bool,
    /// Tokens and answers, sorted by pod, then path. A token comes before what was issued to it.
    pub entries: Vec<Entry>,
}

/// A token, a lease, a certificate, or a cached read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Namespace of pod and service account.
    pub namespace: String,
    /// The pod's name; empty where a service account reads by itself.
    pub pod: String,
    /// The service account.
    pub service_account: String,
    /// The kind of entry.
    pub kind: Kind,
    /// The SecretProviderClass; empty for a token.
    pub class: String,
    /// `objectName` of each file that comes from the answer.
    pub objects: Vec<String>,
    /// Vault's path that was asked.
    pub path: String,
    /// Seconds until the next renewal; none where Vault renews no further.
    pub renewal_in: Option<u64>,
    /// Seconds until the end; none where there is no end.
    pub ends_in: Option<u64>,
    /// Whether the pod is gone, and the token is revoked as soon as Vault does so.
    pub revoking: bool,
}

/// The kind of an [`Entry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A Vault token.
    Token,
    /// An answer that Vault revokes when its lease ends.
    Lease,
    /// A certificate without a lease.
    Certificate,
    /// An answer that was read and is not read again yet.
    Secret,
}

/// Tells what is held, as often as it is asked.
#[derive(Clone)]
pub struct InventorySource(pub(super) Arc<Background>);

impl InventorySource {
    /// Returns what is held at this moment.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let Background { clock, sessions, leases, .. } = &*self.0;
        let now = clock.now();
        let held = sessions.all().into_iter().chain(sessions.ended());
        let mut entries: Vec<Entry> = held.flat_map(|session| entries(&session, now)).collect();
        entries.sort_by(|a, b| order(a).cmp(&order(b)));
        Inventory { kept: leases.active().is_some(), entries }
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

/// Returns whole seconds, rounded up: what is there for a moment more does not show as over.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
