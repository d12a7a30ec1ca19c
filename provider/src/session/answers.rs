//! Which answers a session holds, so that Vault is not asked for them again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, UNIX_EPOCH};

use tokio::sync::MutexGuard;

use super::{About, Held, Reading, Session, Term, Token, Volume};
use crate::inventory::{Entry, Kind, seconds};
use crate::lifetime::Lifetime;
use crate::plan::{Request, RequestId};
use crate::vault::{Answer, Grant};

impl Session {
    /// The held answer to a request, where it still serves.
    pub(crate) fn held(&self, request: RequestId, reading: &Reading<'_>) -> Option<Arc<Answer>> {
        let now = self.clock.now();
        let holdings = self.holdings();
        let held = holdings.held(request)?;
        held.serves(now, reading.refresh_interval, self.is_kept()).then(|| Arc::clone(&held.answer))
    }

    /// What was issued at a request and is good yet, should Vault not give its successor.
    pub(crate) fn stopgap(&self, request: RequestId) -> Option<Arc<Answer>> {
        let holdings = self.holdings();
        let held = holdings.held(request)?;
        (self.is_kept() && held.is_good_yet(self.clock.now())).then(|| Arc::clone(&held.answer))
    }

    /// Holds an answer that was asked for at `asked`, if it is one to be held and there is room.
    pub(crate) fn hold(
        &self,
        (answer, grant): (Answer, Grant),
        (request, objects): (&Request, Vec<String>),
        token: &Arc<Token>,
        asked: Instant,
        reading: &Reading<'_>,
    ) -> Arc<Answer> {
        let Some(term) = self.term(grant, asked, token, reading) else {
            return Arc::new(answer);
        };
        let about = About { class: reading.class.to_owned(), objects, path: request.path.clone() };
        let is_issued = !matches!(term, Term::Read { .. });
        let room = match is_issued {
            true => self.room.for_issued(answer.body()),
            false => self.room.for_read(answer.body()),
        };
        let Some(room) = room else {
            if is_issued {
                tracing::warn!(
                    path = request.path,
                    "no room to keep what was issued: it is issued again at the next mount"
                );
            }
            return Arc::new(answer);
        };
        let answer = Arc::new(Answer::held(answer.into_body()));
        let mut holdings = self.holdings();
        holdings.put(Held {
            request: request.id(),
            about,
            answer: Arc::clone(&answer),
            term,
            volumes: vec![reading.volume],
            _room: room,
        });
        if is_issued {
            self.note_change(&mut holdings);
        }
        answer
    }

    /// For how long an answer is held; not at all where every read asks anew.
    fn term(&self, grant: Grant, asked: Instant, token: &Arc<Token>, reading: &Reading<'_>) -> Option<Term> {
        match grant {
            Grant::Lease(lease) => {
                // a token that is good for this read alone takes its leases along
                let kept = self.is_kept() && token.is_kept();
                let lifetime = Lifetime::new(asked, lease.duration, lease.renewable);
                return kept.then(|| Term::Lease { id: lease.id, lifetime, token: Arc::clone(token) });
            }
            Grant::Certificate(certificate) => {
                let end = UNIX_EPOCH.checked_add(Duration::from_secs(certificate.expiration))?;
                let life = end.duration_since(self.clock.time_of_day()).ok()?;
                let life = life.min(Duration::from_secs(100 * 365 * 86_400));
                let term = Term::Certificate { replaced_from: asked + life * 2 / 3, until: asked + life };
                return self.is_kept().then_some(term);
            }
            Grant::Token | Grant::Nothing => {}
        }
        (!reading.refresh_interval.is_zero()).then_some(Term::Read { at: asked })
    }

    /// Notes that a mount reads through another session now, and lives on nothing that is held here.
    pub(super) fn leave(&self, volume: Volume) {
        let mut holdings = self.holdings();
        holdings.mounted.retain(|other| *other != volume);
        holdings.used(volume, &[]);
        self.note_change(&mut holdings);
    }

    /// Notes which answers a mount took its files from; true where it did not read through this session before.
    pub(crate) fn note_mount(&self, volume: Volume, requests: &[RequestId]) -> bool {
        let mut holdings = self.holdings();
        holdings.used(volume, requests);
        if holdings.changed {
            self.note_change(&mut holdings);
        }
        let is_new = !holdings.mounted.contains(&volume);
        if is_new {
            holdings.mounted.push(volume);
        }
        is_new
    }

    /// Whether something may be issued at a request that is kept then.
    pub(super) fn may_issue(&self, request: &Request) -> bool {
        let keeping = self.keeping.as_ref().filter(|_| self.is_kept());
        keeping.is_some_and(|keeping| keeping.may_issue(&self.key, request))
    }

    /// Waits for the turn to make these requests, where something may be issued at one; none is needed where nothing is
    /// kept.
    pub(crate) async fn issuing_turn(&self, requests: &[&Request]) -> Option<MutexGuard<'_, ()>> {
        let may_issue = requests.iter().any(|request| self.may_issue(request));
        if may_issue { Some(self.issuing.lock().await) } else { None }
    }

    /// Notes what a request brought, for the next one like it.
    pub(crate) fn note_grant(&self, request: &Request, grant: &Grant) {
        if let Some(keeping) = &self.keeping {
            keeping.note(&self.key, request, !matches!(grant, Grant::Nothing));
        }
    }

    /// Writes down that a request is about to be made at which Vault may issue something: should the process be
    /// killed before the answer is stored, the next one says what may have been lost.
    pub(crate) fn intend<'a>(&'a self, request: &'a Request) -> Option<Intent<'a>> {
        if !self.may_issue(request) {
            return None;
        }
        self.holdings().issuing.push(request.path.clone());
        self.store();
        Some(Intent { session: self, path: &request.path, settled: false })
    }
}

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

/// A request that is being made, at which Vault may issue something.
pub(crate) struct Intent<'a> {
    session: &'a Session,
    path: &'a str,
    settled: bool,
}

impl Intent<'_> {
    /// Notes that nothing was lost: the request was answered, or never made.
    pub(crate) fn settle(mut self) {
        self.settled = true;
    }
}

impl Drop for Intent<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.session.tell_of_lost_answer(self.path);
        }
        let mut holdings = self.session.holdings();
        if let Some(at) = holdings.issuing.iter().position(|path| path == self.path) {
            holdings.issuing.swap_remove(at);
        }
        self.session.note_change(&mut holdings);
    }
}
