//! What is counted on the read path. No label is made from what a tenant writes.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters of the read path; register them with the process's registry.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    logins: Family<LoginLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    sessions: Gauge,
}

/// HTTP statuses that have a label of their own: a server that a tenant names may answer any.
const TOLD_STATUSES: [u16; 14] = [200, 204, 301, 302, 307, 400, 403, 404, 405, 412, 429, 500, 502, 503];

/// What a request to Vault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Login,
    Read,
    Issue,
    Lookup,
    Revoke,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    kind: &'static str,
    status: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoginLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    source: &'static str,
}

/// Where a read's token came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenSource {
    Kept,
    Login,
}

impl Metrics {
    /// Adds the read path's metrics to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "vault_requests",
            "Requests to Vault by kind and HTTP status (\"none\" where no answer came)",
            self.requests.clone(),
        );
        registry.register("logins", "Logins at Vault by outcome", self.logins.clone());
        registry.register(
            "tokens",
            "Vault tokens used by reads: kept from before, or of a login",
            self.tokens.clone(),
        );
        registry.register("sessions", "Identities whose Vault token is kept", self.sessions.clone());
    }

    pub(crate) fn vault_request(&self, kind: RequestKind, status: Option<u16>) {
        let kind = match kind {
            RequestKind::Login => "login",
            RequestKind::Read => "read",
            RequestKind::Issue => "issue",
            RequestKind::Lookup => "lookup",
            RequestKind::Revoke => "revoke",
        };
        let status = match status {
            Some(status) if TOLD_STATUSES.contains(&status) => status.to_string(),
            Some(_) => "other".to_owned(),
            None => "none".to_owned(),
        };
        self.requests.get_or_create(&RequestLabels { kind, status }).inc();
    }

    pub(crate) fn login(&self, success: bool) {
        let outcome = if success { "success" } else { "failure" };
        self.logins.get_or_create(&LoginLabels { outcome }).inc();
    }

    pub(crate) fn token(&self, source: TokenSource) {
        let source = match source {
            TokenSource::Kept => "kept",
            TokenSource::Login => "login",
        };
        self.tokens.get_or_create(&TokenLabels { source }).inc();
    }

    pub(crate) fn sessions(&self, kept: usize) {
        self.sessions.set(i64::try_from(kept).unwrap_or(i64::MAX));
    }
}
