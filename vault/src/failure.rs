//! Failures of requests to Vault, and what each failure means for the next step.

use std::sync::Arc;
use std::time::Duration;

use coffer_connect::{BreakCause, ConnectFailure, HttpFailure, TlsFailure};

use crate::json::index::{MAX_DEPTH, MAX_VALUES};

/// Why a request failed. The only part of a body in a failure is Vault's own error text.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// No connection was made; nothing was sent.
    #[error("no connection: {0}")]
    Unreachable(#[source] Arc<ConnectFailure>),
    /// The connection ended before Vault began with the request.
    #[error("the connection ended before the request: {0}")]
    NotProcessed(#[source] BreakCause),
    /// Address and path do not make a URL.
    #[error("address and path make no URL")]
    NoRequest,
    /// The connection broke after the request was sent.
    #[error("the connection broke: {cause}")]
    Broken {
        /// What ended the connection.
        #[source]
        cause: BreakCause,
        /// What is known of the lost answer.
        lost: LostAnswer,
    },
    /// No complete answer came in time.
    #[error("no answer in time")]
    TimedOut(LostAnswer),
    /// The answer has a status other than success.
    #[error("HTTP {}", .0.status)]
    Refused(Refusal),
    /// The answer is larger than [`MAX_BODY`](crate::MAX_BODY).
    #[error("the answer is too large")]
    TooLarge,
    /// The answer nests too deep.
    #[error("the answer nests deeper than {} levels", MAX_DEPTH)]
    TooDeep,
    /// The answer has too many values.
    #[error("the answer has more than {} keys and values", MAX_VALUES)]
    TooManyValues,
    /// The namespace's other answers take its part of the memory.
    #[error("the namespace's part of the memory is used up")]
    OutOfMemory,
    /// A success with an empty body.
    #[error("HTTP {0} with an empty body")]
    Empty(u16),
    /// A success with a body that Vault does not send, with a description of the body.
    #[error("not an answer of Vault: {0}")]
    NotVault(String),
    /// HTTP 407: a proxy on the way wants a user name and password.
    #[error("HTTP 407 of a proxy")]
    ProxyCredentials,
    /// A redirect that must not be followed, with the reason.
    #[error("a redirect {0}")]
    Redirect(String),
}

/// What is known of an answer that did not come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LostAnswer {
    /// Whether the connection had answered before: it may have been dead already.
    pub was_kept: bool,
    /// Whether Vault may have issued something, so that the request was not sent again.
    pub may_have_issued: bool,
}

/// An answer with an error status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Whether the body has the form of Vault's errors. A proxy's has not.
    pub is_vaults: bool,
    /// Vault's own error text, on one line, without secrets of the request.
    pub words: Option<String>,
    /// How long Vault asks to wait.
    pub retry_after: Option<Duration>,
    /// The version of a KV v2 secret that was deleted or destroyed, as a text.
    pub deleted: Option<String>,
}

/// What a failure means for the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Nothing was sent: any request may be sent again.
    NotSent,
    /// The answer was lost, and Vault may have executed the request.
    AnswerLost,
    /// HTTP 412, 429, 472, 473 or 5xx: a GET or LIST may be sent again.
    Temporary,
    /// HTTP 403: Vault does not know the token.
    TokenUnknown,
    /// HTTP 403: Vault knows the token, and the token's policies deny the request.
    DeniedByPolicy,
    /// HTTP 403 without Vault's words, as a proxy answers. The token may still be valid.
    DeniedByProxy,
    /// HTTP 400 with Vault's words. For a lease: Vault does not know the lease, renews the lease no
    /// further, or the engine failed.
    BadRequest,
    /// Any other failure: the same request would fail again.
    Final,
}

impl From<HttpFailure> for Failure {
    fn from(failure: HttpFailure) -> Self {
        let lost = |was_kept| LostAnswer { was_kept, may_have_issued: false };
        match failure {
            HttpFailure::Unreachable(failure) => Self::Unreachable(failure),
            HttpFailure::NotProcessed(cause) => Self::NotProcessed(cause),
            HttpFailure::Broken { cause, is_kept } => Self::Broken { cause, lost: lost(is_kept) },
            HttpFailure::TimedOut { is_kept } => Self::TimedOut(lost(is_kept)),
        }
    }
}

impl Failure {
    /// Returns the same failure of a request that may have issued something, and so was not sent
    /// again.
    #[must_use]
    pub(crate) fn that_may_have_issued(mut self) -> Self {
        if let Self::Broken { lost, .. } | Self::TimedOut(lost) = &mut self {
            lost.may_have_issued = true;
        }
        self
    }

    /// Returns the failure of TLS, if that is the cause. A server may refuse a client certificate
    /// after the handshake.
    #[must_use]
    pub fn tls(&self) -> Option<TlsFailure> {
        match self {
            Self::Unreachable(failure) => match &**failure {
                ConnectFailure::Tls(failure) => Some(failure.clone()),
                _ => None,
            },
            Self::NotProcessed(cause) | Self::Broken { cause, .. } => TlsFailure::find_in(cause),
            _ => None,
        }
    }

    /// Returns what is known of the lost answer, if the connection broke or nothing came in time.
    pub(crate) fn lost_answer(&self) -> Option<LostAnswer> {
        match self {
            Self::Broken { lost, .. } | Self::TimedOut(lost) => Some(*lost),
            _ => None,
        }
    }

    /// Returns what the failure means for the next step. No other code decides this.
    #[must_use]
    pub fn classify(&self) -> FailureKind {
        match self {
            Self::Unreachable(_) | Self::NotProcessed(_) => FailureKind::NotSent,
            Self::Broken { .. }
            | Self::TimedOut(_)
            | Self::TooLarge
            | Self::TooDeep
            | Self::TooManyValues
            | Self::OutOfMemory => FailureKind::AnswerLost,
            Self::Refused(refusal) => refusal.classify(),
            Self::NoRequest
            | Self::Empty(_)
            | Self::NotVault(_)
            | Self::ProxyCredentials
            | Self::Redirect(_) => FailureKind::Final,
        }
    }
}

impl FailureKind {
    /// Returns whether the same request with another token may succeed (HTTP 403).
    #[must_use]
    pub fn is_denial(self) -> bool {
        matches!(self, Self::TokenUnknown | Self::DeniedByPolicy | Self::DeniedByProxy)
    }
}

impl Refusal {
    /// Returns whether the status says that Vault did nothing: its data is behind (412), it is busy
    /// (429), a standby (472, 473), or sealed (503).
    pub(crate) fn did_nothing(&self) -> bool {
        matches!(self.status, 412 | 429 | 472 | 473 | 503)
    }

    fn classify(&self) -> FailureKind {
        match (self.status, &self.words) {
            (400, Some(_)) => FailureKind::BadRequest,
            (403, Some(words)) if names_unknown_token(words) => FailureKind::TokenUnknown,
            (403, Some(_)) => FailureKind::DeniedByPolicy,
            (403, None) => FailureKind::DeniedByProxy,
            (412 | 429 | 472 | 473 | 500.., _) => FailureKind::Temporary,
            _ => FailureKind::Final,
        }
    }
}

/// Returns whether Vault's words mean that the token is unknown, and not a denial by a policy.
///
/// OpenBao, and Vault before 1.17, answer with "permission denied" alone, which a denial by a
/// policy never is. Later versions of Vault add "invalid token". The answer has no other sign
/// (<https://developer.hashicorp.com/vault/docs/concepts/tokens#error-responses>).
fn names_unknown_token(words: &str) -> bool {
    // Vault sends several errors as a list: "2 errors occurred: * permission denied * invalid
    // token"
    words == "permission denied"
        || words.split(['*', ';']).any(|error| error.trim().ends_with("invalid token"))
}

#[cfg(test)]
mod tests {
    use coffer_connect::BreakCause;

    use super::{Failure, FailureKind, LostAnswer, Refusal};

    fn kind(status: u16, words: Option<&str>) -> FailureKind {
        let words = words.map(ToOwned::to_owned);
        Failure::Refused(Refusal {
            status,
            is_vaults: words.is_some(),
            words,
            retry_after: None,
            deleted: None,
        })
        .classify()
    }

    #[test]
    fn denials_are_classified_by_vaults_own_words() {
        let policy = "1 error occurred:\n\t* permission denied\n\n";
        assert_eq!(kind(403, Some("permission denied")), FailureKind::TokenUnknown);
        assert_eq!(
            kind(403, Some("2 errors occurred: * permission denied * invalid token")),
            FailureKind::TokenUnknown
        );
        assert_eq!(kind(403, Some(policy)), FailureKind::DeniedByPolicy);
        assert_eq!(kind(403, None), FailureKind::DeniedByProxy);
        assert_eq!(kind(400, Some("lease not found")), FailureKind::BadRequest);
        assert_eq!(kind(400, None), FailureKind::Final);
    }

    #[test]
    fn temporary_statuses_and_final_ones_are_distinguished() {
        for status in [412, 429, 472, 473, 500, 503, 599] {
            assert_eq!(kind(status, Some("sealed")), FailureKind::Temporary, "{status}");
        }
        for status in [301, 401, 404, 405, 418] {
            assert_eq!(kind(status, Some("no")), FailureKind::Final, "{status}");
        }
    }

    #[test]
    fn a_lost_answer_and_a_request_that_was_not_sent_are_distinguished() {
        let cause = || BreakCause::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        for failure in [
            Failure::Broken { cause: cause(), lost: LostAnswer::default() },
            Failure::TimedOut(LostAnswer::default()),
            Failure::TooLarge,
            Failure::OutOfMemory,
        ] {
            assert_eq!(failure.classify(), FailureKind::AnswerLost);
        }
        assert_eq!(Failure::NotProcessed(cause()).classify(), FailureKind::NotSent);
        assert_eq!(Failure::NoRequest.classify(), FailureKind::Final);
    }
}
