//! The renewal of a lease by the mount that would replace it.

use std::time::Duration;

use tokio::time::timeout;

use super::{Fetch, Wanted};
use crate::lifetime::Lifetime;

/// Timeout of the renewal, so that enough of the mount's time is left for a replacement.
const TIMEOUT: Duration = Duration::from_secs(3);

impl Fetch<'_> {
    /// Renews a lease that is about to be replaced because Vault refused its renewals. What made
    /// Vault refuse may have passed since: then the pod keeps its credential. If there is no grant,
    /// nothing changes.
    pub(super) async fn renew_first(&self, wanted: &mut Wanted<'_>) {
        let issued = &self.session.issued;
        let request = wanted.planned.id;
        let Some((id, token)) = issued.lease_to_renew(request, self.now()) else { return };
        let asked = self.now();
        let renewal = self.login.vault.renew_lease(token.secret(), &id);
        if let Ok(Ok(grant)) = timeout(TIMEOUT, renewal).await {
            let renewed = |lifetime: &mut Lifetime| lifetime.renewed(asked, grant.duration, grant.renewable);
            issued.change_lease(request, &id, renewed);
            self.session.changes.note();
            wanted.done = self.held(wanted.planned);
        }
    }
}
