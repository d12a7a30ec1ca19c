//! Metrics of the read path, and what metrics with labels of classes are made of. Tenants can
//! choose no other labels than [`ClassLabels`].

mod class_counter;
mod class_labels;
mod late;

use std::time::Duration;

use coffer_vault::{RequestKind, RequestObserver};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::RefusalReason;
pub use class_counter::ClassCounter;
pub use class_labels::{ClassLabels, capped};
pub(crate) use late::LateCollector;

/// Metrics of the read path. [`Self::register`] adds the metrics to the process's registry.
#[derive(Debug)]
pub struct ReadMetrics {
    /// Series of one metric with the labels of classes, at most.
    most_series: usize,
    requests: Family<RequestLabels, Counter>,
    request_seconds: RequestSeconds,
    refusals: Family<RefusalLabels, Counter>,
    /// What memory is used for, as soon as there is a read path.
    pub(crate) memory: LateCollector,
    /// The credentials that are held, as soon as there is a read path.
    pub(crate) credentials: LateCollector,
    logins: Family<LoginLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    sessions: Gauge,
    leases: Gauge,
    revocations: Family<RevocationLabels, Counter>,
    policy_stale: Gauge,
}

/// Series of one metric with the labels of classes, at most, where no flag says otherwise: those of
/// a node with the usual 110 pods, each with a class of its own, that mount and fail.
pub const DEFAULT_SERIES: usize = 500;

/// HTTP statuses with a label value of their own; all others count as `other`. A server that a
/// tenant names may answer with any status.
const NAMED_STATUSES: [u16; 14] = [200, 204, 301, 302, 307, 400, 403, 404, 405, 412, 429, 500, 502, 503];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    kind: &'static str,
    status: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

/// Times of requests, from a fast answer over a kept connection to what ends a mount.
#[derive(Debug)]
struct RequestSeconds(Family<KindLabels, Histogram>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
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

impl Default for RequestSeconds {
    fn default() -> Self {
        const BUCKETS: [f64; 13] =
            [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
        Self(Family::new_with_constructor(|| Histogram::new(BUCKETS)))
    }
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

impl Default for ReadMetrics {
    fn default() -> Self {
        Self::with_series(DEFAULT_SERIES)
    }
}

impl ReadMetrics {
    /// Returns metrics of which one has at most `most` series with namespace and class; see
    /// [`capped`].
    #[must_use]
    pub fn with_series(most: usize) -> Self {
        Self {
            most_series: most,
            requests: Family::default(),
            request_seconds: RequestSeconds::default(),
            refusals: Family::default(),
            memory: LateCollector::default(),
            credentials: LateCollector::default(),
            logins: Family::default(),
            tokens: Family::default(),
            sessions: Gauge::default(),
            leases: Gauge::default(),
            revocations: Family::default(),
            policy_stale: Gauge::default(),
        }
    }

    /// Returns how many series one metric with the labels of classes has at most.
    #[must_use]
    pub fn most_series(&self) -> usize {
        self.most_series
    }

    /// Adds the read path's metrics to a registry, and the version, which all crates share.
    pub fn register(&self, registry: &mut Registry) {
        let build = Family::<BuildLabels, Gauge>::default();
        build.get_or_create(&BuildLabels { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register("build_info", "The version that runs; always 1", build);
        registry.register(
            "vault_requests",
            "Requests to Vault by kind and HTTP status (\"none\" where no answer came)",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "vault_request_duration",
            "Time of a request to Vault by kind, from its turn to the end of the answer",
            Unit::Seconds,
            self.request_seconds.0.clone(),
        );
        // from zero, so that an alert on an increase sees the first one
        for reason in RefusalReason::ALL {
            drop(self.refusals.get_or_create(&RefusalLabels { reason: reason.word() }));
        }
        registry.register("refusals", "Refusals by policies and limits, by reason", self.refusals.clone());
        registry.register_collector(Box::new(self.memory.clone()));
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
        registry.register_collector(Box::new(self.credentials.clone()));
    }

    /// Counts what a policy or limit refused.
    pub fn refused(&self, reason: RefusalReason) {
        self.refusals.get_or_create(&RefusalLabels { reason: reason.word() }).inc();
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
    fn request_ended(&self, kind: RequestKind, status: Option<u16>, took: Option<Duration>) {
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
        if let Some(took) = took {
            self.request_seconds.0.get_or_create(&KindLabels { kind }).observe(took.as_secs_f64());
        }
    }
}
