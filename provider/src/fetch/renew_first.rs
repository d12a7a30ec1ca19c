//! Renewals by the mount that would replace a token or a lease because Vault refused to renew it.
//! What made Vault refuse may have passed since: then the pod keeps its credentials.

use std::time::Duration;

use tokio::time::timeout;

use super::in_order::InOrder;
use super::{Fetch, Wanted};

/// Timeout of a renewal, so that enough of the mount's time is left for a replacement.
const TIMEOUT: Duration = Duration::from_secs(3);

impl Fetch<'_> {
    /// Renews the current token and then the leases of missing answers, if Vault refused their last
    /// renewal and a replacement is due. If there is no grant, nothing changes.
    pub(super) async fn renew_first(&self, wanted: &mut [Wanted<'_>]) {
        self.renew_token_first().await;
        let mut renewals = InOrder::default();
        for wanted in wanted.iter_mut().filter(|wanted| wanted.done.is_none()) {
            renewals.start(self.renew_lease_first(wanted)).await;
        }
        renewals.finish().await;
    }

    async fn renew_token_first(&self) {
        let Some(token) = self.session.logins.living(self.now()).pop() else { return };
        let asked = self.now();
        if !token.lifetime().is_some_and(|lifetime| lifetime.is_refused_and_due(asked)) {
            return;
        }
        // the mount may be dropped before the answer is here
        token.change_lifetime(|lifetime| lifetime.note_lost(asked));
        let renewal = self.login.vault.renew_token(token.secret());
        if let Ok(Ok(login)) = timeout(TIMEOUT, renewal).await {
            token.change_lifetime(|lifetime| lifetime.renewed_token(asked, login.ttl, login.renewable));
        }
        self.session.changes.note();
    }

    async fn renew_lease_first(&self, wanted: &mut Wanted<'_>) {
        let issued = &self.session.issued;
        let request = wanted.planned.id;
        let asked = self.now();
        if let Some((id, token)) = issued.refused_lease(request, asked) {
            let renewal = self.login.vault.renew_lease(token.secret(), &id);
            if let Ok(Ok(grant)) = timeout(TIMEOUT, renewal).await {
                issued.change_lease(request, &id, |lifetime| {
                    lifetime.renewed(asked, grant.duration, grant.renewable);
                });
                self.session.changes.note();
            }
        }
        wanted.done = self.held(wanted.planned);
    }
}
