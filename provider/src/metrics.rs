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
    leases: Gauge,
    revocations: Family<RevocationLabels, Counter>,
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
    Renew,
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RevocationLabels {
    outcome: &'static str,
}

/// What became of the token of a pod that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revocation {
    Revoked,
    GivenUp,
}

impl Revocation {
    fn labels(self) -> RevocationLabels {
        let outcome = match self {
            Self::Revoked => "revoked",
            Self::GivenUp => "given_up",
        };
        RevocationLabels { outcome }
    }
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

    /// Adds the metrics of what is kept, where something is.
    pub fn register_kept(&self, registry: &mut Registry) {
        // told from the start: an alert on the first one given up needs the zero before it
        for outcome in [Revocation::Revoked, Revocation::GivenUp] {
            drop(self.revocations.get_or_create(&outcome.labels()));
        }
        registry.register("leases", "Leases that are held and renewed", self.leases.clone());
        registry.register(
            "revocations",
            "Tokens of pods that are gone, by what became of them",
            self.revocations.clone(),
        );
    }

    pub(crate) fn leases(&self, held: usize) {
        self.leases.set(i64::try_from(held).unwrap_or(i64::MAX));
    }

    pub(crate) fn revoked(&self, outcome: Revocation) {
        self.revocations.get_or_create(&outcome.labels()).inc();
    }

    pub(crate) fn vault_request(&self, kind: RequestKind, status: Option<u16>) {
        let kind = match kind {
            RequestKind::Login => "login",
            RequestKind::Read => "read",
            RequestKind::Issue => "issue",
            RequestKind::Lookup => "lookup",
            RequestKind::Renew => "renew",
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
