//! Which answers a session holds, so that Vault is not asked for them again.

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::{About, Held, Reading, Session, Term, Token, Volume};
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
        let room =
            if is_issued { self.room.for_issued(answer.body()) } else { self.room.for_read(answer.body()) };
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
                let kept = self.is_kept() && token.is_reusable();
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
}
