//! What happens when a pod is gone: its tokens are revoked, and with them all that was issued to them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use crate::attempt::Attempt;
use crate::metrics::Revocation;
use crate::read::Provider;
use crate::session::{Session, Token};
use crate::vault::Vault;

/// How long after a pod's end its tokens are revoked: a mount that is in progress then may end first.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// The longest that a mount in progress is waited for, which a driver's own deadline ends sooner.
const IN_PROGRESS: Duration = Duration::from_secs(120);

/// Who holds a session whose pod is gone, beside its mounts: the list of such sessions, and the task that revokes.
const OUR_OWN: usize = 2;

/// Between two tries, doubled each time.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long revocation is tried: a Vault that is away for longer than this keeps the token until it ends by itself.
const GIVE_UP: Duration = Duration::from_secs(3600);

impl Provider {
    /// Revokes what all sessions hold, for a node that is to have none of it any more. What is not revoked in this time
    /// stays stored, and the next start goes on with it.
    pub async fn revoke_all(&self, time: Duration) {
        let mut sessions = self.sessions.take(|session| session.pod().is_some());
        sessions.iter().for_each(|session| session.mark_ended());
        // those whose pods went a moment ago, and those that Vault did not revoke yet
        sessions.extend(self.sessions.ended());
        let revoked = join_all(sessions.iter().map(|session| self.revoke_once(session, Attempt::First)));
        if timeout(time, revoked).await.is_err() {
            tracing::warn!("not every token was revoked in time");
        }
    }

    /// Revokes what a session holds whose pod is gone, tried again until it is done or there is nothing left.
    pub(super) async fn revoke_ended(self: Arc<Self>, session: Arc<Session>, grace: Duration) {
        sleep(grace).await;
        self.wait_for_mounts(&session).await;
        let began = self.clock.now();
        let mut wait = FIRST_WAIT;
        let mut attempt = Attempt::First;
        while !self.revoke_once(&session, attempt).await {
            attempt = Attempt::Again;
            if self.clock.now().saturating_duration_since(began) >= GIVE_UP {
                for token in session.tokens() {
                    self.give_up(&session, &token, "Vault could not be reached for an hour");
                }
                break;
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        session.forget_record();
        self.sessions.forget_ended(&session);
    }

    async fn wait_for_mounts(&self, session: &Arc<Session>) {
        let until = Instant::now() + IN_PROGRESS;
        while Arc::strong_count(session) > OUR_OWN && Instant::now() < until {
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Revokes every token of a session; true where none is left.
    async fn revoke_once(&self, session: &Session, attempt: Attempt) -> bool {
        let key = session.key();
        let Ok(target) = self.targets.handle(&key.target) else { return session.tokens().is_empty() };
        for token in session.tokens() {
            let vault = self.vault_of(session, &target);
            let turn = attempt.turn(&target.limits.revocations, vault).await;
            self.revoke(session, &token, &turn.vault).await;
        }
        let done = session.tokens().is_empty();
        if done {
            session.forget_record();
        }
        done
    }

    async fn revoke(&self, session: &Session, token: &Arc<Token>, vault: &Vault<'_>) {
        match vault.revoke(token.secret()).await {
            Ok(()) => {
                tracing::debug!(pod = session.pod_name(), "revoked the token of a pod that is gone");
                self.metrics.revoked(Revocation::Revoked);
                session.bury(token);
            }
            Err(failure) if failure.disowns_token() => session.bury(token),
            Err(failure) if failure.is_policy() || failure.is_bad_request() => {
                self.give_up(
                    session,
                    token,
                    "Vault refuses auth/token/revoke-self, which the policy \"default\" allows to service tokens",
                );
                session.bury(token);
            }
            Err(failure) => {
                let error = failure.into_error(&vault.target.target.address.to_string());
                tracing::warn!(
                    namespace = session.key().identity.namespace,
                    pod = session.pod_name(),
                    "the token of a pod that is gone is not revoked yet: {error}"
                );
            }
        }
    }

    fn give_up(&self, session: &Session, token: &Token, reason: &str) {
        let left =
            token.lifetime().map(|lifetime| lifetime.until.saturating_duration_since(self.clock.now()));
        let end =
            left.map_or_else(|| "never ends".to_owned(), |left| format!("ends in {} s", left.as_secs()));
        tracing::error!(
            namespace = session.key().identity.namespace,
            pod = session.pod_name(),
            "the token of a pod that is gone, and what was issued to it, cannot be revoked and {end}: {reason}"
        );
        self.metrics.revoked(Revocation::GivenUp);
    }
}
