//! Revocation of the tokens of pods that are gone, and so of everything that was issued to the
//! tokens.

use std::sync::Arc;
use std::time::Duration;

use coffer_vault::{FailureKind, HeavyTurn, Vault, VaultNamespace};
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::Background;
use super::turn::turn;
use crate::lifetime::Attempt;
use crate::metrics::Revocation;
use crate::session::{Session, Token};
use crate::vault_error::error_of;

/// Time between the end of a pod and the revocation of its tokens, in which a mount in progress may
/// end.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Maximum wait for a mount in progress. The driver's deadline usually ends the mount sooner.
const MOUNT_IN_PROGRESS: Duration = Duration::from_secs(120);

/// Wait before the first retry. The wait doubles with each retry.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Maximum wait before a retry.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Maximum time of retries. If Vault is not available for that time, the token ends by its TTL.
const GIVE_UP: Duration = Duration::from_secs(3600);

/// Revokes the tokens of all pods of this node, within this time. Sessions whose tokens are not
/// revoked in time stay stored, and the next start continues with them.
pub(super) async fn revoke_all(background: &Background, time: Duration) {
    background.sessions.end(|session| session.pod().is_some());
    let sessions = background.sessions.ended();
    sessions.iter().for_each(|session| background.save(session));
    let revoked = join_all(sessions.iter().map(|session| revoke_once(background, session, Attempt::First)));
    if timeout(time, revoked).await.is_err() {
        tracing::warn!("not every token was revoked in time");
    }
}

/// Revokes the tokens of a session whose pod is gone, with retries, and then removes the session.
pub(super) async fn revoke_ended(background: Arc<Background>, session: Arc<Session>, grace: Duration) {
    sleep(grace).await;
    let _ = timeout(MOUNT_IN_PROGRESS, session.wait_until_unused()).await;
    let began = background.clock.now();
    let mut wait = FIRST_WAIT;
    let mut attempt = Attempt::First;
    while !revoke_once(&background, &session, attempt).await {
        attempt = Attempt::Retry;
        if background.clock.now().saturating_duration_since(began) >= GIVE_UP {
            for token in session.logins.revocable(background.clock.now()) {
                give_up(&background, &session, &token, "Vault could not be reached for an hour");
            }
            break;
        }
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
    background.remove(&session);
    background.sessions.remove_ended(&session);
}

/// Tries to revoke every token of a session. Returns whether no token is left.
async fn revoke_once(background: &Background, session: &Session, attempt: Attempt) -> bool {
    let tokens = || session.logins.revocable(background.clock.now());
    let tenant = session.namespace();
    let Ok(target) = background.targets.handle(&session.key.target, tenant) else {
        return tokens().is_empty();
    };
    let (namespace, heavy) = (session.key.namespace.as_deref(), Arc::new(HeavyTurn::default()));
    let vault = VaultNamespace { target: &target, namespace, tenant, turn: &heavy };
    for token in tokens() {
        let turn = turn(attempt, &target.limits.revocations, vault).await;
        revoke(background, session, &token, &turn.vault).await;
    }
    let is_done = tokens().is_empty();
    if is_done {
        background.remove(session);
    }
    is_done
}

/// Tries to revoke one token.
async fn revoke(background: &Background, session: &Session, token: &Arc<Token>, vault: &Vault<'_>) {
    let failure = match vault.revoke_token(token.secret()).await {
        Ok(()) => {
            tracing::debug!(pod = session.pod_name(), "revoked the token of a pod that is gone");
            background.metrics.revoked(Revocation::Revoked);
            return session.logins.remove_gone(token);
        }
        Err(failure) => failure,
    };
    match failure.classify() {
        FailureKind::TokenUnknown => session.logins.remove_gone(token),
        FailureKind::DeniedByPolicy | FailureKind::BadRequest => {
            let reason =
                "Vault refuses auth/token/revoke-self, which the policy \"default\" allows to service tokens";
            give_up(background, session, token, reason);
            session.logins.remove_gone(token);
        }
        _ => {
            let error = error_of(failure, vault.target());
            tracing::warn!(
                namespace = session.key.identity.namespace,
                pod = session.pod_name(),
                "the token of a pod that is gone is not revoked yet: {error:#}"
            );
        }
    }
}

/// Logs and counts a token that cannot be revoked.
fn give_up(background: &Background, session: &Session, token: &Token, reason: &str) {
    let now = background.clock.now();
    let left = token.lifetime().map(|lifetime| lifetime.until.saturating_duration_since(now));
    let end = left.map_or_else(|| "never ends".to_owned(), |left| format!("ends in {} s", left.as_secs()));
    tracing::error!(
        namespace = session.key.identity.namespace,
        pod = session.pod_name(),
        "the token of a pod that is gone, and what was issued to it, cannot be revoked and {end}: {reason}"
    );
    background.metrics.revoked(Revocation::GivenUp);
}
