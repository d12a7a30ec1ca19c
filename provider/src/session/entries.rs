//! What a session holds, as people see it.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{About, Session, Term};
use crate::inventory::{Entry, Kind, seconds};
use crate::lifetime::Lifetime;

impl Session {
    /// What it holds, for people.
    pub(crate) fn inventory(&self) -> Vec<Entry> {
        let now = self.clock.now();
        let until = |at: Instant| seconds(at.saturating_duration_since(now));
        let blank = Entry {
            namespace: self.key.identity.namespace.clone(),
            pod: self.pod_name().to_owned(),
            service_account: self.key.identity.service_account.clone(),
            kind: Kind::Token,
            class: String::new(),
            objects: Vec::new(),
            path: format!("auth/{}/login", self.key.auth_mount),
            renewal_in: None,
            ends_in: None,
            revoking: self.ended.load(Ordering::Relaxed),
        };
        let of_life = |entry: Entry, lifetime: Option<Lifetime>| Entry {
            renewal_in: lifetime.and_then(|lifetime| lifetime.renewal).map(until),
            ends_in: lifetime.map(|lifetime| until(lifetime.until)),
            ..entry
        };
        let mut holdings = self.holdings();
        holdings.forget_over(now);
        let tokens = holdings.tokens.iter().map(|token| of_life(blank.clone(), token.lifetime()));
        let answers = holdings.answers.iter().map(|held| {
            let About { class, objects, path } = held.about.clone();
            let entry = Entry { class, objects, path, ..blank.clone() };
            match &held.term {
                Term::Lease { lifetime, .. } => {
                    of_life(Entry { kind: Kind::Lease, ..entry }, Some(*lifetime))
                }
                Term::Certificate { until: end, .. } => {
                    Entry { kind: Kind::Certificate, ends_in: Some(until(*end)), ..entry }
                }
                Term::Read { .. } => Entry { kind: Kind::Secret, ..entry },
            }
        });
        tokens.chain(answers).collect()
    }
}
