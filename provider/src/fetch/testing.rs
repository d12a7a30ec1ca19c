//! A read as tests of sessions and leases make it.

use std::sync::Arc;

use coffer_vault::{Answer, Grant, Request};

use super::{Answered, Fetch, Wanted};
use crate::class::PlannedRequest;
use crate::session::{TokenNeed, UsedToken};

fn planned(request: &Request) -> PlannedRequest {
    PlannedRequest { request: Arc::new(request.clone()), id: request.id(), is_optional: false }
}

impl Fetch<'_> {
    /// Handles `issued` as Vault's answer to a request of this read.
    pub(crate) async fn answered(&self, request: &Request, issued: Answer) {
        let token = self.token(None).await.expect("a token");
        let grant = issued.grant(request.issues());
        let answered = Answered { answer: issued, grant, token, asked: self.now() };
        let planned = planned(request);
        let wanted = Wanted { index: 0, planned: &planned, may_issue: true, done: None };
        self.hold(answered, &wanted, None).await;
    }

    pub(crate) fn holds(&self, request: &Request) -> bool {
        self.held(&planned(request)).is_some()
    }

    /// Returns whether a renewal spares the replacement of what the session holds.
    pub(crate) async fn is_renewed_first(&self, request: &Request) -> bool {
        let planned = planned(request);
        let mut wanted = [Wanted { index: 0, planned: &planned, may_issue: true, done: None }];
        Fetch { ..*self }.renew_first(&mut wanted).await;
        wanted[0].done.is_some()
    }

    pub(crate) fn has_fallback(&self, request: &Request) -> bool {
        self.fallback(&planned(request)).is_some()
    }

    pub(crate) fn may_issue(&self, request: &Request) -> bool {
        let planned = planned(request);
        Fetch { ..*self }.wanted(0, &planned).may_issue
    }

    pub(crate) fn note_grant(&self, request: &Request, grant: &Grant) {
        let issued = !matches!(grant, Grant::Nothing);
        let leases = self.leases.expect("leases are kept");
        leases.journal.note(&self.session.key, request, request.id(), issued);
    }

    pub(crate) async fn token_for_read(&self) -> UsedToken {
        self.token(None).await.expect("a token")
    }

    pub(crate) async fn token_for(&self, request: &Request) -> UsedToken {
        let need = if self.may_issue(request) { TokenNeed::Issue } else { TokenNeed::Read };
        self.session.logins.token(need, &self.login).await.expect("a token")
    }

    /// Returns the token to try after Vault denied `denied`.
    pub(crate) async fn after_denial(&self, denied: &UsedToken) -> Option<UsedToken> {
        self.session.logins.token_after_denial(denied, &self.login).await.expect("no failure")
    }
}
