//! Renewals by the mount that would replace a token or a lease because Vault refused to renew it.
//! What made Vault refuse may have passed since: then the pod keeps its credentials.

use std::sync::Arc;
use std::time::Duration;

use coffer_vault::{Answer, FailureKind, LeaseGrant, Secret, Vault};
use tokio::time::sleep;

use super::in_order::InOrder;
use super::{Fetch, Wanted};
use crate::class::PlannedRequest;
use crate::session::{IssuedAnswer, IssuedTerm};

/// Maximum time for the token's renewal, and again for those of all leases.
const TIME: Duration = Duration::from_secs(4);

/// Waits between the tries of a lease's renewal.
const WAITS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(200)];

impl Fetch<'_> {
    /// Renews the current token and then the leases of missing answers, if Vault refused their last
    /// renewal and a replacement is due. Without a grant the replacement stays due.
    pub(super) async fn renew_first(&self, wanted: &mut [Wanted<'_>]) {
        self.renew_token_first().await;
        let vault = self.login.vault.within(TIME);
        let mut renewals = InOrder::default();
        for wanted in wanted.iter_mut().filter(|wanted| wanted.done.is_none()) {
            renewals.start(self.renew_lease_first(wanted, &vault)).await;
        }
        renewals.finish().await;
    }

    async fn renew_token_first(&self) {
        let Some(token) = self.session.logins.living(self.now()).pop() else { return };
        let asked = self.now();
        let Some(before) = token.lifetime().filter(|lifetime| lifetime.is_refused_and_due(asked)) else {
            return;
        };
        // noted before the answer: the mount may be dropped while it waits
        token.change_lifetime(|lifetime| lifetime.note_lost(asked));
        self.session.changes.note();
        match self.login.vault.within(TIME).renew_token(token.secret()).await {
            Ok(login) => {
                token.change_lifetime(|lifetime| {
                    lifetime.renewed_after_refusal(asked, login.ttl, login.renewable);
                });
                self.log_grant("the token");
            }
            Err(failure) if failure.classify() == FailureKind::AnswerLost => {}
            Err(_) => token.change_lifetime(|lifetime| lifetime.lost_until = before.lost_until),
        }
        self.session.changes.note();
    }

    /// Returns whether a request would replace a lease that Vault refused to renew. Such a request
    /// is sent once: if the engine comes back later, the next mount renews the lease instead.
    pub(super) fn is_refused(&self, planned: &PlannedRequest) -> bool {
        self.leases.is_some() && self.session.issued.refused_lease(planned.id, self.now()).is_some()
    }

    async fn renew_lease_first(&self, wanted: &mut Wanted<'_>, vault: &Vault<'_>) {
        let issued = &self.session.issued;
        let request = wanted.planned.id;
        let asked = self.now();
        if let Some((id, token)) = issued.refused_lease(request, asked)
            && let Some(grant) = renew(vault, token.secret(), &id, &WAITS).await
        {
            issued.change_lease(request, &id, |lifetime| {
                lifetime.renewed_after_refusal(asked, Some(grant.duration), grant.renewable);
            });
            self.session.changes.note();
            self.log_grant(&format!("the lease of {}", wanted.planned.request.path));
        }
        wanted.done = self.held(wanted.planned);
    }

    /// Renews a lease that was just replaced once more: the system behind the engine may have come
    /// back after the renewal and before the issue. Returns the answer of before if the lease is
    /// kept. The other lease is not used then: it ends by its TTL, or with its token.
    pub(super) async fn renew_replaced(&self, mut before: IssuedAnswer) -> Option<Arc<Answer>> {
        let asked = self.now();
        let (id, token) = before.term.refused_lease(asked)?;
        let grant = renew(&self.login.vault.within(TIME), token.secret(), &id, &[]).await?;
        let IssuedTerm::Lease { lifetime, .. } = &mut before.term else { return None };
        lifetime.renewed_after_refusal(asked, Some(grant.duration), grant.renewable);
        if lifetime.needs_replacement(self.now()) {
            return None;
        }
        let (answer, path) = (Arc::clone(&before.answer), before.about.path.clone());
        self.session.issued.put_back(before);
        self.log_grant(&format!("the lease of {path}"));
        tracing::info!(
            namespace = self.session.key.identity.namespace,
            pod = self.session.pod_name(),
            path,
            "what Vault issued in place of a lease is not used: the lease is renewed"
        );
        Some(answer)
    }

    fn log_grant(&self, what: &str) {
        tracing::info!(
            namespace = self.session.key.identity.namespace,
            pod = self.session.pod_name(),
            "{what} is renewed, which Vault had refused"
        );
    }
}

/// Renews a lease, and again after each wait while Vault answers with HTTP 400, as it does while
/// the system behind the engine is away.
async fn renew(vault: &Vault<'_>, token: &Secret, lease: &str, waits: &[Duration]) -> Option<LeaseGrant> {
    for wait in waits.iter().copied().map(Some).chain([None]) {
        match (vault.renew_lease(token, lease).await, wait) {
            (Ok(grant), _) => return Some(grant),
            (Err(failure), Some(wait)) if failure.classify() == FailureKind::BadRequest => sleep(wait).await,
            (Err(_), _) => return None,
        }
    }
    None
}
