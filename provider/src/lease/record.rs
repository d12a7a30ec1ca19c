//! The record of a session: JSON that is stored over a restart. The release before and the next one
//! read the same format.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use coffer_vault::{Answer, RequestId, Secret};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::StoredText;
use super::boot_time::{BootTime, millis};
use super::journal::warn_of_lost_answer;
use crate::Clock;
use crate::lifetime::{LastRenewal, Lifetime, Renewal};
use crate::memory::{SESSION_BYTES, TenantMemory};
use crate::session::{
    AnswerUse, IssuedAnswer, IssuedTerm, Session, SessionKey, SessionParts, SessionState, Sessions, Token,
    VolumeId,
};

/// A stored session.
#[derive(Serialize, Deserialize)]
struct Record {
    key: SessionKey,
    tokens: Vec<TokenRecord>,
    answers: Vec<AnswerRecord>,
    /// Journal: the paths of requests in progress at which Vault may issue something.
    issuing: Vec<String>,
    /// Whether the pod is gone, and the tokens are to be revoked.
    ended: bool,
    /// The volumes that have got files. The release before did not store them.
    #[serde(default)]
    volumes_with_files: Vec<VolumeId>,
}

#[derive(Serialize, Deserialize)]
struct TokenRecord {
    #[serde(with = "exposed")]
    secret: Secret,
    /// When the token was requested, in milliseconds since boot.
    since: u64,
    lifetime: Option<LifetimeRecord>,
    /// Whether the token owns leases.
    owns: bool,
}

#[derive(Serialize, Deserialize)]
struct AnswerRecord {
    /// The request's digest in hexadecimal.
    request: String,
    about: AnswerUse,
    #[serde(with = "exposed")]
    body: Secret,
    term: TermRecord,
    volumes: Vec<VolumeId>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TermRecord {
    /// `token` is the index of the token that the lease belongs to.
    Lease { id: String, lifetime: LifetimeRecord, token: usize },
    /// Times in milliseconds since boot.
    Certificate { replaced_from: u64, until: u64 },
}

/// A lifetime: TTLs in milliseconds, times in milliseconds since boot.
#[derive(Serialize, Deserialize)]
struct LifetimeRecord {
    granted: u64,
    #[serde(rename = "whole")]
    full_ttl: u64,
    until: u64,
    renewal: Option<u64>,
    /// The end if a renewal was granted whose answer was lost. The release before did not store it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost_until: Option<u64>,
}

/// A record that cannot be parsed. The error never repeats the text of the record.
#[derive(Debug, thiserror::Error)]
#[error("the record cannot be parsed (line {line})")]
pub(super) struct RecordError {
    line: usize,
}

/// Returns the record of a session; none if the session has neither tokens nor issued answers.
pub(super) fn write(session: &Session, clock: &dyn Clock) -> Option<Secret> {
    let now = clock.now();
    let tokens = session.logins.revocable(now);
    let answers = session.issued.living(now);
    if tokens.is_empty() && answers.iter().next().is_none() {
        return None;
    }
    let boot_time = BootTime::now(clock);
    let record = Record {
        key: SessionKey::clone(&session.key),
        answers: answers.iter().filter_map(|held| AnswerRecord::new(held, &tokens, &boot_time)).collect(),
        tokens: tokens.iter().map(|token| TokenRecord::new(token, &boot_time)).collect(),
        issuing: session.issued.in_progress().clone(),
        ended: session.state() == SessionState::Ended,
        volumes_with_files: session.with_files(),
    };
    let mut written = WipedWriter(Secret::default());
    serde_json::to_writer(&mut written, &record).ok()?;
    Some(written.0)
}

/// Adds a stored session to the sessions. Logs a warning for each request in the journal, whose
/// answer may have been lost when the process ended.
///
/// # Errors
/// [`RecordError`], if the record cannot be parsed.
pub(super) fn restore(
    name: String,
    stored: &StoredText,
    sessions: &Sessions,
    clock: &dyn Clock,
) -> Result<Arc<Session>, RecordError> {
    let record: Record =
        serde_json::from_slice(stored.record.expose()).map_err(|error| RecordError { line: error.line() })?;
    let boot_time = BootTime::now(clock);
    let memory = sessions.memory.of(&record.key.identity.namespace);
    let tokens: Vec<Arc<Token>> =
        record.tokens.into_iter().map(|token| Arc::new(token.restored(&memory, &boot_time))).collect();
    // an answer beyond the namespace's part is dropped: its lease ends by itself, or with the
    // restored token
    let restored = |answer: AnswerRecord| answer.restored(&tokens, &memory, &boot_time);
    let issued = record.answers.into_iter().filter(|_| !record.ended).filter_map(restored).collect();
    let session = sessions.restore(SessionParts {
        key: Arc::new(record.key),
        record_name: name,
        created: None,
        state: if record.ended { SessionState::Ended } else { SessionState::New },
        tokens,
        issued,
        with_files: record.volumes_with_files,
        bytes: memory.take(SESSION_BYTES),
        memory,
    });
    session.cover_record(stored.record.len());
    session.lock_stored().exists = true;
    let journal = stored.journal.as_ref().and_then(Secret::expose_str).unwrap_or_default();
    // the release before had the journal in the record alone
    let lost: BTreeSet<&str> = record.issuing.iter().map(String::as_str).chain(journal.lines()).collect();
    if !lost.is_empty() {
        lost.iter().for_each(|path| warn_of_lost_answer(&session, path));
        session.changes.note();
    }
    Ok(session)
}

impl TokenRecord {
    fn new(token: &Token, boot_time: &BootTime) -> Self {
        Self {
            secret: token.secret().clone(),
            since: boot_time.to_millis(token.asked),
            lifetime: token.lifetime().map(|lifetime| LifetimeRecord::new(&lifetime, boot_time)),
            owns: token.owns_leases(),
        }
    }

    fn restored(self, memory: &TenantMemory, boot_time: &BootTime) -> Token {
        let lifetime = self.lifetime.map(|lifetime| lifetime.restored(boot_time));
        let memory = memory.take(self.secret.len());
        Token::restored(self.secret, boot_time.to_instant(self.since), lifetime, self.owns, memory)
    }
}

impl AnswerRecord {
    fn new(held: &IssuedAnswer, tokens: &[Arc<Token>], boot_time: &BootTime) -> Option<Self> {
        Some(Self {
            request: HEXLOWER.encode(&held.request.0),
            about: held.about.clone(),
            body: held.answer.body().clone(),
            term: TermRecord::new(&held.term, tokens, boot_time)?,
            volumes: held.volumes.clone(),
        })
    }

    fn restored(
        self,
        tokens: &[Arc<Token>],
        memory: &TenantMemory,
        boot_time: &BootTime,
    ) -> Option<IssuedAnswer> {
        let request = HEXLOWER.decode(self.request.as_bytes()).ok()?;
        let mut answer = Answer::from_body(self.body)?;
        answer.shrink();
        answer.count_memory(memory.take(answer.bytes())?);
        Some(IssuedAnswer {
            request: RequestId(request.try_into().ok()?),
            about: self.about,
            _bytes: memory.hold_issued(answer.bytes())?,
            answer: Arc::new(answer),
            term: self.term.restored(tokens, boot_time)?,
            volumes: self.volumes,
        })
    }
}

impl TermRecord {
    fn new(term: &IssuedTerm, tokens: &[Arc<Token>], boot_time: &BootTime) -> Option<Self> {
        Some(match term {
            IssuedTerm::Lease { id, lifetime, token } => Self::Lease {
                id: id.clone(),
                lifetime: LifetimeRecord::new(lifetime, boot_time),
                token: tokens.iter().position(|other| Arc::ptr_eq(other, token))?,
            },
            IssuedTerm::Certificate { replaced_from, until } => Self::Certificate {
                replaced_from: boot_time.to_millis(*replaced_from),
                until: boot_time.to_millis(*until),
            },
        })
    }

    fn restored(self, tokens: &[Arc<Token>], boot_time: &BootTime) -> Option<IssuedTerm> {
        Some(match self {
            Self::Lease { id, lifetime, token } => IssuedTerm::Lease {
                id,
                lifetime: lifetime.restored(boot_time),
                token: Arc::clone(tokens.get(token)?),
            },
            Self::Certificate { replaced_from, until } => IssuedTerm::Certificate {
                replaced_from: boot_time.to_instant(replaced_from),
                until: boot_time.to_instant(until),
            },
        })
    }
}

impl LifetimeRecord {
    fn new(lifetime: &Lifetime, boot_time: &BootTime) -> Self {
        let renewal = match lifetime.renewal {
            Renewal::At(at) | Renewal::InProgress(at) => Some(at),
            Renewal::Never => None,
        };
        Self {
            granted: millis(lifetime.granted),
            full_ttl: millis(lifetime.full_ttl),
            until: boot_time.to_millis(lifetime.until),
            renewal: renewal.map(|at| boot_time.to_millis(at)),
            lost_until: lifetime.lost_until.map(|at| boot_time.to_millis(at)),
        }
    }

    fn restored(self, boot_time: &BootTime) -> Lifetime {
        Lifetime {
            granted: Duration::from_millis(self.granted),
            full_ttl: Duration::from_millis(self.full_ttl),
            until: boot_time.to_instant(self.until),
            renewal: self.renewal.map_or(Renewal::Never, |at| Renewal::At(boot_time.to_instant(at))),
            last: LastRenewal::Granted,
            failing_since: None,
            lost_until: self.lost_until.map(|at| boot_time.to_instant(at)),
        }
    }
}

/// A writer into a buffer that is wiped when dropped.
struct WipedWriter(Secret);

impl io::Write for WipedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Serialization of secrets for records only.
mod exposed {
    use coffer_vault::Secret;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose_str().unwrap_or_default())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}
