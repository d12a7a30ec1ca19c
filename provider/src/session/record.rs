//! A session as it is stored, so that a restart neither logs in nor issues anew.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::holdings::{About, Held, Holdings, Term, Volume};
use super::moments::{Moments, millis};
use super::{Session, SessionKey, Sessions, Token};
use crate::Secret;
use crate::lifetime::{LastRenewal, Lifetime};
use crate::plan::RequestId;
use crate::vault::Answer;

#[derive(Serialize, Deserialize)]
struct Record {
    key: SessionKey,
    tokens: Vec<TokenRecord>,
    answers: Vec<AnswerRecord>,
    /// Paths that were being asked for.
    issuing: Vec<String>,
    /// Whether the pod is gone, and all this is to be revoked.
    ended: bool,
}

#[derive(Serialize, Deserialize)]
struct TokenRecord {
    #[serde(with = "exposed")]
    secret: Secret,
    since: u64,
    lifetime: Option<LifetimeRecord>,
    owns: bool,
}

#[derive(Serialize, Deserialize)]
struct AnswerRecord {
    request: String,
    about: About,
    #[serde(with = "exposed")]
    body: Secret,
    term: TermRecord,
    volumes: Vec<Volume>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TermRecord {
    /// With which of the tokens it was given to.
    Lease {
        id: String,
        lifetime: LifetimeRecord,
        token: usize,
    },
    Certificate {
        replaced_from: u64,
        until: u64,
    },
}

#[derive(Serialize, Deserialize)]
struct LifetimeRecord {
    granted: u64,
    whole: u64,
    until: u64,
    renewal: Option<u64>,
}

impl Session {
    /// Stores the session, if it holds something that a restart should find.
    pub(crate) fn store(&self) {
        let Some(keeping) = &self.keeping else { return };
        let mut holdings = self.holdings();
        let record = self.to_record(&mut holdings);
        let saved = match &record {
            Some(record) => keeping.save(&self.record, record),
            None => {
                keeping.remove(&self.record);
                true
            }
        };
        holdings.changed = !saved;
    }

    /// Stores the session where that was not done since its last change.
    pub(crate) fn store_changes(&self) {
        if self.is_kept() && self.holdings().changed {
            self.store();
        }
    }

    /// Marks the session as one whose pod is gone.
    pub(crate) fn mark_ended(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.store();
    }

    /// Has the store forget the session.
    pub(crate) fn forget_record(&self) {
        if let Some(keeping) = &self.keeping {
            keeping.remove(&self.record);
        }
    }

    fn to_record(&self, holdings: &mut Holdings) -> Option<Secret> {
        holdings.forget_over(self.clock.now());
        if holdings.tokens.is_empty() && !holdings.answers.iter().any(Held::outlives_process) {
            return None;
        }
        let moments = Moments::of(&*self.clock);
        let answer = |held: &Held| {
            Some(AnswerRecord {
                request: HEXLOWER.encode(&held.request.0),
                about: held.about.clone(),
                body: held.answer.body().clone(),
                term: TermRecord::new(&held.term, &holdings.tokens, &moments)?,
                volumes: held.volumes.clone(),
            })
        };
        let record = Record {
            key: self.key.clone(),
            tokens: holdings.tokens.iter().map(|token| TokenRecord::new(token, &moments)).collect(),
            answers: holdings.answers.iter().filter_map(answer).collect(),
            issuing: holdings.issuing.clone(),
            ended: self.ended.load(Ordering::Relaxed),
        };
        let mut written = Written(Secret::default());
        serde_json::to_writer(&mut written, &record).ok()?;
        Some(written.0)
    }
}

/// A session that was stored, and what has to be said or done about it.
pub(crate) struct Restored {
    pub(crate) session: Arc<Session>,
    /// Paths that were being asked for when the process ended.
    pub(crate) issuing: Vec<String>,
    /// Whether its pod is gone.
    pub(crate) ended: bool,
}

impl Restored {
    /// Says which answers may have been lost when the process ended.
    pub(crate) fn tell_of_lost_answers(&self) {
        self.issuing.iter().for_each(|path| self.session.tell_of_lost_answer(path));
    }
}

impl Sessions {
    /// Reads a stored session. Unless its pod is gone, reads to come find it.
    ///
    /// # Errors
    /// Why the record makes no session; it repeats nothing of it.
    pub(crate) fn restore(&self, name: String, record: &Secret) -> Result<Restored, String> {
        let record: Record = serde_json::from_slice(record.expose())
            .map_err(|error| format!("it is no record of a session (line {})", error.line()))?;
        let moments = Moments::of(&*self.clock);
        let tokens: Vec<Arc<Token>> =
            record.tokens.into_iter().map(|token| Arc::new(token.restored(&moments))).collect();
        // an answer for which there is no room ends by itself, or with its token, which is kept
        let answers =
            record.answers.into_iter().filter_map(|answer| answer.restored(&tokens, self, &moments));
        let answers = answers.collect();
        let mut holdings =
            Holdings { tokens, answers, changed: !record.issuing.is_empty(), ..Holdings::default() };
        holdings.forget_over(self.clock.now());
        let session = self.make(record.key, name, None, holdings);
        session.ended.store(record.ended, Ordering::Relaxed);
        let session = Arc::new(session);
        if !record.ended {
            self.put(&session);
        }
        Ok(Restored { session, issuing: record.issuing, ended: record.ended })
    }
}

impl TokenRecord {
    fn new(token: &Token, moments: &Moments) -> Self {
        Self {
            secret: token.secret.clone(),
            since: moments.told(token.since),
            lifetime: token.lifetime().map(|lifetime| LifetimeRecord::new(&lifetime, moments)),
            owns: token.owns(),
        }
    }

    fn restored(self, moments: &Moments) -> Token {
        let lifetime = self.lifetime.map(|lifetime| lifetime.restored(moments));
        Token::restored(self.secret, moments.meant(self.since), lifetime, self.owns)
    }
}

impl AnswerRecord {
    fn restored(self, tokens: &[Arc<Token>], sessions: &Sessions, moments: &Moments) -> Option<Held> {
        let request = HEXLOWER.decode(self.request.as_bytes()).ok()?;
        Some(Held {
            request: RequestId(request.try_into().ok()?),
            about: self.about,
            _room: sessions.room.for_issued(&self.body)?,
            answer: Arc::new(Answer::held(self.body)),
            term: self.term.restored(tokens, moments)?,
            volumes: self.volumes,
        })
    }
}

impl TermRecord {
    fn new(term: &Term, tokens: &[Arc<Token>], moments: &Moments) -> Option<Self> {
        Some(match term {
            Term::Lease { id, lifetime, token } => Self::Lease {
                id: id.clone(),
                lifetime: LifetimeRecord::new(lifetime, moments),
                token: tokens.iter().position(|other| Arc::ptr_eq(other, token))?,
            },
            Term::Certificate { replaced_from, until } => {
                Self::Certificate { replaced_from: moments.told(*replaced_from), until: moments.told(*until) }
            }
            Term::Read { .. } => return None,
        })
    }

    fn restored(self, tokens: &[Arc<Token>], moments: &Moments) -> Option<Term> {
        Some(match self {
            Self::Lease { id, lifetime, token } => Term::Lease {
                id,
                lifetime: lifetime.restored(moments),
                token: Arc::clone(tokens.get(token)?),
            },
            Self::Certificate { replaced_from, until } => {
                Term::Certificate { replaced_from: moments.meant(replaced_from), until: moments.meant(until) }
            }
        })
    }
}

impl LifetimeRecord {
    fn new(lifetime: &Lifetime, moments: &Moments) -> Self {
        Self {
            granted: millis(lifetime.granted),
            whole: millis(lifetime.whole),
            until: moments.told(lifetime.until),
            renewal: lifetime.renewal.map(|at| moments.told(at)),
        }
    }

    fn restored(self, moments: &Moments) -> Lifetime {
        Lifetime {
            granted: Duration::from_millis(self.granted),
            whole: Duration::from_millis(self.whole),
            until: moments.meant(self.until),
            renewal: self.renewal.map(|at| moments.meant(at)),
            last: LastRenewal::Granted,
        }
    }
}

/// Collects what is written, and wipes it.
struct Written(Secret);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Secrets as they stand in a record, the one place where they are written out.
mod exposed {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::Secret;

    pub(super) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose_str().unwrap_or_default())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}
