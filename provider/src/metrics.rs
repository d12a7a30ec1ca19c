//! Metrics of the read path. No label has a value that a tenant can choose.

use coffer_vault::{RequestKind, RequestObserver};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Metrics of the read path. [`Self::register`] adds the metrics to the process's registry.
#[derive(Debug, Default)]
pub struct ReadMetrics {
    requests: Family<RequestLabels, Counter>,
    logins: Family<LoginLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    sessions: Gauge,
    leases: Gauge,
    revocations: Family<RevocationLabels, Counter>,
    policy_stale: Gauge,
}

/// HTTP statuses with a label value of their own; all others count as `other`. A server that a
/// tenant names may answer with any status.
const NAMED_STATUSES: [u16; 14] = [200, 204, 301, 302, 307, 400, 403, 404, 405, 412, 429, 500, 502, 503];

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

/// How the revocation of a token ended after the pod was gone.
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

/// The source of the token that a read uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenSource {
    Kept,
    Login,
}

impl ReadMetrics {
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
            "Vault tokens used by reads: of an earlier login (kept), or of a new login",
            self.tokens.clone(),
        );
        registry.register("sessions", "Identities whose Vault token is kept", self.sessions.clone());
        registry.register(
            "policy_stale",
            "Whether the policy's file cannot be used, and the last good policy counts",
            self.policy_stale.clone(),
        );
    }

    /// Adds the metrics of leases to a registry, for a process with a lease manager.
    pub fn register_leases(&self, registry: &mut Registry) {
        // both counters start at zero, so that an alert on an increase sees the first one
        for outcome in [Revocation::Revoked, Revocation::GivenUp] {
            drop(self.revocations.get_or_create(&outcome.labels()));
        }
        registry.register("leases", "Leases that are held and renewed", self.leases.clone());
        registry.register(
            "revocations",
            "Revocations of the tokens of pods that are gone, by outcome",
            self.revocations.clone(),
        );
    }

    /// Sets whether another policy counts than that of the file.
    pub(crate) fn policy_stale(&self, stale: bool) {
        self.policy_stale.set(i64::from(stale));
    }

    /// Sets the number of leases.
    pub(crate) fn leases(&self, held: usize) {
        self.leases.set(i64::try_from(held).unwrap_or(i64::MAX));
    }

    /// Counts a revocation.
    pub(crate) fn revoked(&self, outcome: Revocation) {
        self.revocations.get_or_create(&outcome.labels()).inc();
    }

    /// Counts a login.
    pub(crate) fn login(&self, success: bool) {
        let outcome = if success { "success" } else { "failure" };
        self.logins.get_or_create(&LoginLabels { outcome }).inc();
    }

    /// Counts the use of a token by a read.
    pub(crate) fn token(&self, source: TokenSource) {
        let source = match source {
            TokenSource::Kept => "kept",
            TokenSource::Login => "login",
        };
        self.tokens.get_or_create(&TokenLabels { source }).inc();
    }

    /// Sets the number of active sessions.
    pub(crate) fn sessions(&self, kept: usize) {
        self.sessions.set(i64::try_from(kept).unwrap_or(i64::MAX));
    }
}

impl RequestObserver for ReadMetrics {
    fn request_ended(&self, kind: RequestKind, status: Option<u16>) {
        let kind = match kind {
            RequestKind::Login => "login",
            RequestKind::Read => "read",
            RequestKind::Issue => "issue",
            RequestKind::Lookup => "lookup",
            RequestKind::Renew => "renew",
            RequestKind::Revoke => "revoke",
        };
        let status = match status {
            Some(status) if NAMED_STATUSES.contains(&status) => status.to_string(),
            Some(_) => "other".to_owned(),
            None => "none".to_owned(),
        };
        self.requests.get_or_create(&RequestLabels { kind, status }).inc();
    }
}
