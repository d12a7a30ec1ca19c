//! What the fake does at each request.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::issued::Term;
use super::{IssuedItem, IssuedToken, Purpose, Trouble, VaultState};
use crate::models::time_of_day;

/// A request.
pub(super) struct HttpCall {
    /// The path below `/v1/`.
    pub(super) path: String,
    pub(super) token: Option<String>,
    pub(super) body: Vec<u8>,
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) when: When,
    /// What the agent knows of when the answer is there: when it was asked, and the seconds that
    /// were granted.
    granted: Option<(Grantee, Instant, u64)>,
}

/// When an answer is sent.
pub(super) enum When {
    After(Duration),
    /// The connection is closed in place of an answer.
    Closed,
    Never,
}

/// Of what the term was granted.
#[derive(Clone, Copy)]
pub(super) enum Grantee {
    Token(usize),
    Item(usize),
}

/// Vault's words for a token that it does not know.
const UNKNOWN: &str = "permission denied";

/// Vault's words for a request that the token's policies deny.
const DENIED: &str = "1 error occurred:\n\t* permission denied\n\n";

impl VaultState {
    /// Executes a request, and returns the answer to it.
    pub(super) fn handle(&mut self, call: &HttpCall) -> Reply {
        let now = Instant::now();
        let purpose = purpose(call);
        *self.requests.entry(purpose).or_default() += 1;
        let is_meant = |(of, _): &&(Option<Purpose>, Trouble)| of.is_none_or(|of| of == purpose);
        match self.troubles.iter().find(is_meant).map(|(_, trouble)| *trouble) {
            Some(Trouble::Status(403)) => {
                if let Some(at) = self.token_at(call, now) {
                    self.tokens[at].was_denied = true;
                }
                Reply::new(403, String::new())
            }
            Some(Trouble::Status(status)) => Reply::error(status, "no"),
            Some(Trouble::Stuck) => Reply { when: When::Never, ..Reply::error(500, "no") },
            Some(Trouble::Late(by)) => Reply { when: When::After(by), ..self.execute(call, purpose, now) },
            Some(Trouble::Lost) => Reply { when: When::Closed, ..self.execute(call, purpose, now) },
            Some(Trouble::Silent) => Reply { when: When::Never, ..self.execute(call, purpose, now) },
            Some(Trouble::Over) => {
                self.troubles.clear();
                self.execute(call, purpose, now)
            }
            None => self.execute(call, purpose, now),
        }
    }

    /// Notes that an answer reached the agent.
    pub(super) fn note_answered(&mut self, reply: &Reply) {
        let Some((grantee, asked, seconds)) = reply.granted else { return };
        self.term(grantee).note_known(asked, seconds, Instant::now());
    }

    /// Returns the term of a token or of what was issued.
    pub(super) fn term(&mut self, grantee: Grantee) -> &mut Term {
        match grantee {
            Grantee::Token(at) => &mut self.tokens[at].term,
            Grantee::Item(at) => &mut self.items[at].term,
        }
    }

    fn execute(&mut self, call: &HttpCall, purpose: Purpose, now: Instant) -> Reply {
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        if purpose == Purpose::Login {
            return self.log_in(&body, now);
        }
        let Some(at) = self.token_at(call, now) else { return Reply::error(403, UNKNOWN) };
        self.tokens[at].is_used = true;
        if self.tokens[at].denied.contains(&call.path) {
            self.tokens[at].was_denied = true;
            return Reply::error(403, DENIED);
        }
        let lease = body["lease_id"].as_str().and_then(|id| id.rsplit('/').next()?.parse().ok());
        match call.path.as_str() {
            "auth/token/lookup-self" => Reply::new(200, json!({"data": {}}).to_string()),
            "auth/token/revoke-self" => {
                self.check_revocation(at, now);
                self.tokens[at].is_revoked = true;
                Reply::new(204, String::new())
            }
            "auth/token/renew-self" => {
                self.check_renewal(Grantee::Token(at), now);
                let granted = self.tokens[at].term.renew(now);
                Reply::new(200, auth(at, granted)).granting(Grantee::Token(at), now, granted)
            }
            "sys/leases/renew" => self.renew_lease(lease, now),
            "sys/leases/lookup" => match self.living_item(lease, now) {
                Some(_) => Reply::new(200, json!({"data": {}}).to_string()),
                None => Reply::error(400, "invalid lease"),
            },
            path if path.starts_with("sys/internal/ui/mounts/") => {
                Reply::new(200, json!({"data": {"path": "database/", "type": "database"}}).to_string())
            }
            path if path.starts_with("secret/data/") => {
                Reply::new(200, json!({"data": {"data": {"v": path}}}).to_string())
            }
            path => self.issue(at, path, now),
        }
    }

    fn log_in(&mut self, body: &Value, now: Instant) -> Reply {
        let (pod, role) =
            (body["jwt"].as_str().unwrap_or_default(), body["role"].as_str().unwrap_or_default());
        self.check_login(pod, role, now);
        let (ttl, latest) = if role == "app" { (1200, 7200) } else { (400, 1000) };
        self.tokens.push(IssuedToken {
            pod: pod.to_owned(),
            role: role.to_owned(),
            denied: self.denied.iter().cloned().collect(),
            term: Term::new(now, (ttl, latest), self.is_kept(now)),
            is_revoked: false,
            is_used: false,
            was_denied: false,
            is_abandoned: false,
        });
        let at = self.tokens.len() - 1;
        Reply::new(200, auth(at, ttl)).granting(Grantee::Token(at), now, ttl)
    }

    fn issue(&mut self, token: usize, path: &str, now: Instant) -> Reply {
        self.check_issue(token, path, now);
        let is_lease = !path.starts_with("pki/");
        let (ttl, latest) = match path {
            "database/creds/short" => (20, 60),
            "database/creds/app" => (300, 1800),
            _ => (900, 900),
        };
        let at = self.items.len();
        self.items.push(IssuedItem {
            path: path.to_owned(),
            token,
            term: Term::new(now, (ttl, latest), self.is_kept(now)),
            is_lease,
            is_revoked: false,
            is_revoked_behind: false,
            is_released: false,
        });
        let secret = format!("{}:{at}", self.tokens[token].pod);
        let body = if is_lease {
            json!({"lease_id": format!("{path}/{at}"), "lease_duration": ttl, "renewable": true,
                "data": {"password": secret}})
        } else {
            let today = time_of_day(now).duration_since(UNIX_EPOCH).expect("after 1970");
            json!({"data": {"certificate": secret, "serial_number": at.to_string(),
                "expiration": today.as_secs() + ttl}})
        };
        Reply::new(200, body.to_string()).granting(Grantee::Item(at), now, ttl)
    }

    fn renew_lease(&mut self, lease: Option<usize>, now: Instant) -> Reply {
        let Some(at) = self.living_item(lease, now) else { return Reply::error(400, "lease not found") };
        self.check_renewal(Grantee::Item(at), now);
        let item = &mut self.items[at];
        let granted = item.term.renew(now);
        let body =
            json!({"lease_id": format!("{}/{at}", item.path), "lease_duration": granted, "renewable": true});
        Reply::new(200, body.to_string()).granting(Grantee::Item(at), now, granted)
    }

    fn living_item(&self, item: Option<usize>, now: Instant) -> Option<usize> {
        item.filter(|at| self.items.get(*at).is_some_and(|item| self.is_item_alive(item, now)))
    }

    fn token_at(&self, call: &HttpCall, now: Instant) -> Option<usize> {
        let at: usize = call.token.as_deref()?.strip_prefix("token-")?.parse().ok()?;
        self.tokens.get(at).is_some_and(|token| token.is_alive(now)).then_some(at)
    }
}

impl IssuedToken {
    pub(in crate::models) fn is_alive(&self, now: Instant) -> bool {
        !self.is_revoked && !self.term.is_over(now)
    }
}

impl Reply {
    fn new(status: u16, body: String) -> Self {
        Self { status, body, when: When::After(Duration::ZERO), granted: None }
    }

    fn error(status: u16, words: &str) -> Self {
        Self::new(status, json!({"errors": [words]}).to_string())
    }

    fn granting(self, grantee: Grantee, asked: Instant, seconds: u64) -> Self {
        Self { granted: Some((grantee, asked, seconds)), ..self }
    }
}

fn purpose(call: &HttpCall) -> Purpose {
    match call.path.as_str() {
        path if path.ends_with("/login") => Purpose::Login,
        "auth/token/revoke-self" => Purpose::Revoke,
        "auth/token/renew-self" | "sys/leases/renew" => Purpose::Renew,
        path if path.starts_with("secret/") => Purpose::Read,
        path if path.starts_with("database/") || path.starts_with("pki/") => Purpose::Issue,
        _ => Purpose::Lookup,
    }
}

fn auth(token: usize, seconds: u64) -> String {
    json!({"auth": {"client_token": format!("token-{token}"), "lease_duration": seconds, "renewable": true}})
        .to_string()
}
