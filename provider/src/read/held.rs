//! Metrics of what the read path holds, computed at each scrape: credentials, and memory by use.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::Weak;
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::lease::Background;
use crate::lifetime::{Lifetime, Renewal};
use crate::metrics::{ClassLabels, capped};
use crate::session::{IssuedTerm, Session};

/// The metrics of memory.
pub(super) struct HeldMemory(pub(super) Weak<Background>);

/// The metrics of credentials.
pub(super) struct HeldCredentials(pub(super) Weak<Background>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct CredentialLabels {
    kind: &'static str,
}

/// The kinds of credentials.
const TOKEN: CredentialLabels = CredentialLabels { kind: "token" };
const LEASE: CredentialLabels = CredentialLabels { kind: "lease" };
const CERTIFICATE: CredentialLabels = CredentialLabels { kind: "certificate" };

/// The credentials of the pods that live.
struct Credentials {
    /// How many there are, and the first end.
    held: BTreeMap<CredentialLabels, (usize, Option<Instant>)>,
    /// How many are overdue.
    overdue: BTreeMap<ClassLabels<CredentialLabels>, usize>,
    now: Instant,
}

impl Credentials {
    fn new(now: Instant) -> Self {
        let held = [TOKEN, LEASE, CERTIFICATE].map(|kind| (kind, (0, None)));
        Self { held: held.into(), overdue: BTreeMap::new(), now }
    }

    fn add_session(&mut self, session: &Session) {
        let tokens = session.logins.living(self.now);
        for token in &tokens {
            let lifetime = token.lifetime();
            let owns_leases = session.issued.has_lease_of(token, self.now);
            let is_used = tokens.last().is_some_and(|newest| session.needs(token, newest, self.now));
            let lifetime = lifetime.filter(|_| is_used);
            // without leases nothing is lost with a token: the next mount logs in
            let is_refused = |l: &Lifetime| l.renewal == Renewal::Never && !owns_leases;
            let is_overdue = lifetime.is_some_and(|l| l.is_renewal_overdue(self.now) && !is_refused(&l));
            self.add(TOKEN, lifetime.map(|lifetime| lifetime.until));
            if is_overdue {
                self.add_overdue(session, "", TOKEN);
            }
        }
        for held in session.issued.living(self.now).iter() {
            let kind = match held.term {
                IssuedTerm::Lease { .. } => LEASE,
                IssuedTerm::Certificate { .. } => CERTIFICATE,
            };
            self.add(kind.clone(), Some(held.term.end()));
            if held.term.is_overdue(self.now) {
                self.add_overdue(session, &held.about.class, kind);
            }
        }
    }

    fn add(&mut self, kind: CredentialLabels, end: Option<Instant>) {
        let (count, first) = self.held.entry(kind).or_default();
        *count += 1;
        *first = first.iter().copied().chain(end).min();
    }

    fn add_overdue(&mut self, session: &Session, class: &str, kind: CredentialLabels) {
        *self.overdue.entry(ClassLabels::new(session.namespace(), class, kind)).or_default() += 1;
    }
}

impl Collector for HeldCredentials {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(background) = self.0.upgrade() else { return Ok(()) };
        let mut credentials = Credentials::new(background.clock.now());
        background.sessions.all().iter().for_each(|session| credentials.add_session(session));
        let Credentials { held, overdue, now } = credentials;

        let help = "Credentials that are held for pods, by kind.";
        let mut metric = encoder.encode_descriptor("credentials", help, None, MetricType::Gauge)?;
        for (kind, (count, _)) in &held {
            metric.encode_family(kind)?.encode_gauge(count)?;
        }
        let (name, help) = ("credential_time_to_end", "Time until the first credential of a kind ends.");
        let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for (kind, (_, first)) in &held {
            if let Some(first) = first {
                let left = first.saturating_duration_since(now).as_secs_f64();
                metric.encode_family(kind)?.encode_gauge(&left)?;
            }
        }
        let help = "Credentials of pods whose renewal or replacement is late, or was refused, by class.";
        let mut metric = encoder.encode_descriptor("credentials_overdue", help, None, MetricType::Gauge)?;
        for (labels, count) in capped(overdue, background.metrics.most_series(), |a, b| a + b) {
            metric.encode_family(&labels)?.encode_gauge(&count)?;
        }
        Ok(())
    }
}

impl Collector for HeldMemory {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(background) = self.0.upgrade() else { return Ok(()) };
        let sessions = &background.sessions;
        let account = &sessions.memory;
        let (issued, cached) = account.held();
        let held = sessions.all().into_iter().chain(sessions.ended());
        let of_sessions: usize = held.map(|session| session.charged_bytes()).sum();
        let connections = background.targets.charged_bytes();
        let in_progress = account.all.taken().saturating_sub(issued + cached + of_sessions + connections);
        let uses = [
            ("issued", issued),
            ("cached", cached),
            ("sessions", of_sessions),
            ("connections", connections),
            ("in_progress", in_progress),
        ];

        let help = "Memory that is charged to namespaces, by use.";
        let mut metric = encoder.encode_descriptor("memory", help, Some(&Unit::Bytes), MetricType::Gauge)?;
        for (word, bytes) in uses {
            metric.encode_family(&[("use", word)])?.encode_gauge(&bytes)?;
        }
        let help = "Memory that namespaces share.";
        let mut metric =
            encoder.encode_descriptor("memory_limit", help, Some(&Unit::Bytes), MetricType::Gauge)?;
        metric.encode_gauge(&account.bytes())
    }
}

impl Debug for HeldMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeldMemory")
    }
}

impl Debug for HeldCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeldCredentials")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use prometheus_client::collector::Collector;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::{HeldCredentials, HeldMemory};
    use crate::lease::tests::{background, renew_due};
    use crate::session::tests::bed::{Bed, MINUTE, creds, lease};

    /// Returns the samples of a collector, without comments.
    fn samples(collector: impl Collector) -> Vec<String> {
        let (mut registry, mut text) = (Registry::default(), String::new());
        registry.register_collector(Box::new(collector));
        encode(&mut text, &registry).expect("a text");
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn credentials_that_are_not_renewed_are_overdue_by_class() {
        let (bed, _) = Bed::with_leases(10).await;
        let session = bed.pod_session();
        bed.fetch(&session).answered(&creds("r"), lease(600)).await;
        let background = background(&bed);
        let credentials = || samples(HeldCredentials(Arc::downgrade(&background)));
        let overdue =
            || credentials().into_iter().filter(|line| line.contains("overdue")).collect::<Vec<_>>();
        assert!(credentials().contains(&"credentials{kind=\"lease\"} 1".to_owned()), "{:?}", credentials());
        assert!(
            credentials().contains(&"credential_time_to_end_seconds{kind=\"lease\"} 600.0".to_owned()),
            "{:?}",
            credentials()
        );
        assert!(overdue().is_empty());

        bed.fake.renewal.store(503, Ordering::Relaxed);
        bed.clock.advance(Duration::from_secs(401));
        renew_due(&session, &bed).await;
        assert!(overdue().is_empty(), "{:?}", overdue());
        bed.clock.advance(MINUTE);
        renew_due(&session, &bed).await;
        let line = overdue().pop().unwrap_or_default();
        assert!(line.contains("kind=\"lease\"") && line.ends_with(" 1"), "{line}");

        bed.fake.renewal.store(200, Ordering::Relaxed);
        bed.clock.advance(MINUTE);
        renew_due(&session, &bed).await;
        assert!(overdue().is_empty(), "{:?}", overdue());
    }

    #[tokio::test]
    async fn memory_is_shown_by_use() {
        let (bed, _) = Bed::with_leases(10).await;
        let session = bed.pod_session();
        let background = background(&bed);
        let memory = || samples(HeldMemory(Arc::downgrade(&background)));
        let of = |word: &str| {
            let begin = format!("memory_bytes{{use=\"{word}\"}} ");
            let sample = memory().iter().find_map(|line| line.strip_prefix(&begin)?.parse::<usize>().ok());
            sample.expect("a sample")
        };
        let before = (of("sessions"), of("issued"));
        assert!(before.0 >= 4 << 10, "{:?}", memory());
        bed.fetch(&session).answered(&creds("r"), lease(600)).await;
        assert!(of("sessions") >= before.0 && of("issued") > before.1, "{:?}", memory());
        drop(session);
        bed.sessions.end(|_| true);
        assert_eq!(of("issued"), 0, "{:?}", memory());
    }
}
