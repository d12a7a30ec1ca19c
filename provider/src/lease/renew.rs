//! Renewal of tokens and leases. The lease manager never logs in and never issues, since only a
//! mount can write files into the pod.

use std::sync::Arc;

use coffer_vault::{Failure, FailureKind, HeavyTurn, TargetHandle, Vault, VaultNamespace};
use futures_util::future::{join, join_all};
use tokio::time::sleep;

use super::Background;
use super::schedule::{DueRenewal, Renewable};
use super::turn::turn;
use crate::Error;
use crate::lifetime::{Attempt, Lifetime};
use crate::session::{Session, Token};
use crate::vault_error::error_of;

/// What is said of a lease that Vault does not know any more.
const LOST_LEASE: &str = "is gone, the next mount has it issued anew";

/// Runs the renewals of one session. First tries and retries run in parallel, so that a retry that
/// hangs never delays a first try.
pub(super) async fn renew(background: Arc<Background>, session: Arc<Session>, due: Vec<DueRenewal>) {
    let Ok(target) = background.targets.handle(&session.key.target, session.namespace()) else {
        let now = background.clock.now();
        due.into_iter().for_each(|renewal| renewal.finish(|lifetime| lifetime.retry_later(now)));
        return;
    };
    let (first, retries) = due.into_iter().partition(|renewal| renewal.attempt == Attempt::First);
    join(renew_all(&background, &target, first), renew_all(&background, &target, retries)).await;
}

/// Runs renewals that are all first tries or all retries. Tokens are renewed first, since leases
/// end with their token.
async fn renew_all(background: &Background, target: &Arc<TargetHandle>, due: Vec<DueRenewal>) {
    let (tokens, leases): (Vec<_>, Vec<_>) =
        due.into_iter().partition(|renewal| matches!(renewal.what, Renewable::Token(_)));
    for due in [tokens, leases] {
        join_all(due.into_iter().map(|renewal| renew_one(background, target, renewal))).await;
    }
}

async fn renew_one(background: &Background, target: &Arc<TargetHandle>, due: DueRenewal) {
    let session = Arc::clone(&due.session);
    sleep(background.pace.turn(session.namespace(), background.clock.now())).await;
    let heavy = Arc::new(HeavyTurn::default());
    let (namespace, tenant) = (session.key.namespace.as_deref(), session.namespace());
    let vault = VaultNamespace { target, namespace, tenant, turn: &heavy };
    let turn = turn(due.attempt, &target.limits.renewals, vault).await;
    match due.what.clone() {
        Renewable::Token(token) => renew_token(background, due, &token, &turn.vault).await,
        Renewable::Lease { id, token, .. } => renew_lease(background, due, &id, &token, &turn.vault).await,
    }
}

async fn renew_token(background: &Background, due: DueRenewal, token: &Arc<Token>, vault: &Vault<'_>) {
    let asked = background.clock.now();
    let failure = match vault.renew_token(token.secret()).await {
        Ok(login) => {
            return due.finish(|lifetime| lifetime.renewed_token(asked, login.ttl, login.renewable));
        }
        Err(failure) => failure,
    };
    let kind = failure.classify();
    if kind.is_denial() && !vault.knows_token(token.secret()).await {
        return lose_token(background, &due.session, token);
    }
    match kind {
        FailureKind::DeniedByPolicy | FailureKind::BadRequest => {
            let error = warn(&due, "is renewed no further", failure, vault);
            background.report_stopped(&due, &format_args!("is renewed no further: {error}"));
            due.finish(Lifetime::refuse_renewals);
        }
        FailureKind::AnswerLost => {
            warn(&due, "is not renewed yet", failure, vault);
            due.finish(|lifetime| lifetime.retry_lost(asked, background.clock.now()));
        }
        _ => {
            warn(&due, "is not renewed yet", failure, vault);
            due.finish(|lifetime| lifetime.retry_later(background.clock.now()));
        }
    }
}

async fn renew_lease(
    background: &Background,
    due: DueRenewal,
    id: &str,
    token: &Arc<Token>,
    vault: &Vault<'_>,
) {
    if token.is_gone() {
        return;
    }
    let (asked, secret) = (background.clock.now(), token.secret());
    let failure = match vault.renew_lease(secret, id).await {
        Ok(lease) => {
            return due.finish(|lifetime| lifetime.renewed(asked, lease.duration, lease.renewable));
        }
        Err(failure) => failure,
    };
    let kind = failure.classify();
    if kind.is_denial() && !vault.knows_token(secret).await {
        return lose_token(background, &due.session, token);
    }
    if kind == FailureKind::BadRequest && vault.has_lost_lease(secret, id).await {
        warn(&due, LOST_LEASE, failure, vault);
        background.report_stopped(&due, &LOST_LEASE);
        return due.session.issued.remove_lease(id);
    }
    let now = background.clock.now();
    match kind {
        FailureKind::DeniedByPolicy => {
            let error = warn(&due, "is renewed no further", failure, vault);
            background.report_stopped(&due, &format_args!("is renewed no further: {error}"));
            due.finish(Lifetime::refuse_renewals);
        }
        // Vault answers with HTTP 400 both at the maximum TTL and if the engine failed
        FailureKind::BadRequest => {
            let error = warn(&due, "is not renewed yet", failure, vault);
            background.report_stopped(&due, &format_args!("is not renewed: {error}"));
            due.finish(|lifetime| lifetime.retry_refused(now));
        }
        _ => {
            warn(&due, "is not renewed yet", failure, vault);
            due.finish(|lifetime| lifetime.retry_later(now));
        }
    }
}

/// Removes a token that Vault does not know, and everything that was issued to the token.
fn lose_token(background: &Background, session: &Session, token: &Arc<Token>) {
    if token.is_gone() {
        return;
    }
    tracing::warn!(
        namespace = session.key.identity.namespace,
        pod = session.pod_name(),
        "Vault knows the token no more, and what was issued to it is gone; the next mount logs in anew"
    );
    background.report_lost_token(session);
    session.logins.remove_gone(token);
}

/// Logs a failed renewal, and returns its error.
fn warn(due: &DueRenewal, outcome: &str, failure: Failure, vault: &Vault<'_>) -> Error {
    let session = &due.session;
    let what = match &due.what {
        Renewable::Token(_) => "the token".to_owned(),
        Renewable::Lease { path, .. } => format!("the lease of {path}"),
    };
    let error = error_of(failure, vault.target());
    let (namespace, pod) = (&session.key.identity.namespace, session.pod_name());
    tracing::warn!(namespace, pod, "{what} {outcome}: {error:#}");
    error
}
