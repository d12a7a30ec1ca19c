//! Which requests are sent again, and when. A request is sent again only if Vault cannot issue
//! something twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tokio::time::Instant;

use crate::answer::Answer;
use crate::client::{Sending, Vault};
use crate::{Failure, FailureKind, Refusal, Request, RequestKind, Secret};

/// Wait before the first retry. The wait doubles with each retry, with jitter.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// Maximum wait before a retry.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// How much longer the wait is if Vault did nothing, since another node has to become active first.
const FAILOVER_FACTOR: u32 = 10;

/// Mounts of the engines that only hold values, by the names that Vault and its documentation give
/// them.
const USUAL_VALUE_MOUNTS: [&str; 3] = ["secret", "kv", "cubbyhole"];

/// Engines that issue nothing at a GET or LIST. A token of `identity` is no credential in Vault,
/// and is not stored there.
const ENGINES_WITHOUT_ISSUES: [&str; 11] = [
    "kv",
    "generic",
    "cubbyhole",
    "system",
    "ns_system",
    "identity",
    "transit",
    "transform",
    "totp",
    "pki",
    "ssh",
];

/// What happens if Vault executes a request twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twice {
    /// Nothing.
    Nothing,
    /// Nothing, or something is issued twice: the engine at the path decides.
    AsEngine,
    /// Something is issued twice.
    Issues,
}

impl Twice {
    /// Returns what happens at a request of a class. `is_known`: an answer showed that Vault issues
    /// nothing at it.
    pub(crate) fn of(request: &Request, is_known: bool) -> Self {
        let mount = request.path.trim_start_matches('/').split('/').next().unwrap_or_default();
        if request.issues() {
            Self::Issues
        } else if is_known || USUAL_VALUE_MOUNTS.contains(&mount) {
            Self::Nothing
        } else {
            Self::AsEngine
        }
    }
}

impl Vault<'_> {
    /// Sends a request, and again:
    ///
    /// - any request that was not sent, or that Vault did not begin with;
    /// - a GET or LIST after 412, 429, 472, 473 and 5xx;
    /// - a login after 412, 429, 472, 473 and 503, where Vault did nothing;
    /// - what issues nothing after a lost answer: at once if the connection was a kept one.
    pub(crate) async fn send_with_retries(
        &self,
        sending: &Sending<'_>,
        twice: Twice,
    ) -> Result<Answer, Failure> {
        let retries = self.retries;
        let is_harmless = AtomicBool::new(twice == Twice::Nothing);
        let attempt = || async {
            let may_repeat = retries > 0 && is_harmless.load(Ordering::Relaxed);
            let answer = self.send(sending, may_repeat).await;
            let is_lost = answer.as_ref().is_err_and(|failure| failure.lost_answer().is_some());
            let is_open = is_lost && twice == Twice::AsEngine && retries > 0 && !may_repeat;
            if is_open && self.issues_nothing(&sending.request.path, sending.token).await {
                is_harmless.store(true, Ordering::Relaxed);
            }
            answer
        };
        let backoff = ExponentialBuilder::default()
            .with_min_delay(FIRST_BACKOFF)
            .with_max_delay(LONGEST_BACKOFF)
            .with_max_times(retries)
            .with_jitter();
        let answer = attempt
            .retry(backoff)
            .when(|failure| may_repeat(failure, sending, is_harmless.load(Ordering::Relaxed)))
            .adjust(|failure, wait| self.wait_before_retry(failure, wait))
            .await;
        let is_harmless = is_harmless.into_inner();
        answer.map_err(|failure| if is_harmless { failure } else { failure.that_may_have_issued() })
    }

    /// Sends a request that does nothing if Vault executes it twice: at once again if the
    /// connection was a kept one that broke, and not again otherwise.
    pub(crate) async fn send_once(
        &self,
        kind: RequestKind,
        request: &Request,
        token: &Secret,
    ) -> Result<Answer, Failure> {
        let sending = Sending::with_token(kind, request, token);
        let may_repeat = self.target().max_retries > 0;
        match self.send(&sending, may_repeat).await {
            Err(failure) if may_repeat && is_dead_connection(&failure) => self.send(&sending, false).await,
            answer => answer,
        }
    }

    /// Returns whether Vault issues nothing at a GET or LIST of a path, by the engine that is
    /// mounted there. A token that may read the path may ask that
    /// (<https://developer.hashicorp.com/vault/api-docs/system/internal-ui-mounts>).
    async fn issues_nothing(&self, path: &str, token: Option<&Secret>) -> bool {
        let Some(token) = token.filter(|_| Instant::now() < self.deadline()) else { return false };
        let request = Request::get(format!("sys/internal/ui/mounts/{}", path.trim_matches('/')));
        let Ok(answer) = self.send_once(RequestKind::Lookup, &request, token).await else { return false };
        let data = answer.envelope().field("data");
        let engine = data.and_then(|data| data.member("type")?.string());
        engine.and_then(|engine| engine.expose_str().map(|engine| ENGINES_WITHOUT_ISSUES.contains(&engine)))
            == Some(true)
    }

    /// Returns how long to wait before the next retry; none if the deadline comes first.
    fn wait_before_retry(&self, failure: &Failure, wait: Option<Duration>) -> Option<Duration> {
        let wait = match failure {
            _ if is_dead_connection(failure) => wait.map(|_| Duration::ZERO)?,
            Failure::Refused(refusal) if refusal.did_nothing() => {
                let asked = refusal.retry_after.unwrap_or_default();
                (wait? * FAILOVER_FACTOR).min(LONGEST_BACKOFF).max(asked)
            }
            Failure::Refused(Refusal { retry_after, .. }) => wait?.max(retry_after.unwrap_or_default()),
            _ => wait?,
        };
        let again = Instant::now().checked_add(wait);
        again.is_some_and(|again| again < self.deadline()).then_some(wait)
    }
}

/// Returns whether a request may be sent again. `is_harmless`: nothing is issued twice by it.
fn may_repeat(failure: &Failure, sending: &Sending<'_>, is_harmless: bool) -> bool {
    match failure {
        Failure::Broken { .. } => is_harmless,
        // the connection was given up, and time is left
        Failure::TimedOut(lost) => is_harmless && lost.was_kept,
        Failure::Refused(refusal) if sending.kind == RequestKind::Login => refusal.did_nothing(),
        Failure::Refused(_) if sending.request.issues() => false,
        _ => matches!(failure.classify(), FailureKind::NotSent | FailureKind::Temporary),
    }
}

/// Returns whether the next attempt goes over a new connection and so may succeed at once: the
/// connection was a kept one that broke, or ended before the request.
fn is_dead_connection(failure: &Failure) -> bool {
    matches!(failure, Failure::NotProcessed(_)) || failure.lost_answer().is_some_and(|lost| lost.was_kept)
}
