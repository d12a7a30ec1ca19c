//! A request to Vault that brought no usable answer, before it is known for which object it was made.

use std::time::Duration;

/// Why a request failed. It holds no byte of a body but Vault's own error words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection was made; nothing was sent.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// Address and path make no URL.
    #[error("address and path make no URL")]
    NoRequest,
    /// The connection broke after the request was sent.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// No complete answer came in time.
    #[error("no answer in time")]
    TimedOut,
    /// The answer has a status other than success.
    #[error("HTTP {}", .0.status)]
    Refused(Refusal),
    /// The answer is larger than [`MAX_BODY`](crate::MAX_BODY).
    #[error("the answer is too large")]
    TooLarge,
    /// The bodies of other answers take all the memory that bodies may take.
    #[error("too many bytes of other answers are in memory")]
    OutOfMemory,
    /// A success with an empty body.
    #[error("HTTP {0} with an empty body")]
    Empty(u16),
    /// A success whose body no Vault would send.
    #[error("not an answer of Vault: {0}")]
    NotVault(String),
    /// A redirect that must not be followed, with the reason.
    #[error("a redirect {0}")]
    Redirect(String),
}

/// An answer with an error status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Vault's own words, on one line, without any secret of the request.
    pub words: Option<String>,
    /// How long Vault asks to wait.
    pub retry_after: Option<Duration>,
    /// A version of a KV v2 secret that was deleted, and when.
    pub deleted: Option<String>,
}

/// What a failure means for what is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Nothing was sent: any request may be made again.
    NotSent,
    /// Vault may have done what it was asked for, and nobody has its answer.
    AnswerLost,
    /// 412, 429 or 5xx: a GET may be made again.
    Temporary,
    /// 403: Vault says that it does not know the token.
    TokenUnknown,
    /// 403: Vault knows the token, and its policies deny the request.
    DeniedByPolicy,
    /// 403 without Vault's words, as a proxy answers: it says nothing about the token.
    DeniedByProxy,
    /// 400 in Vault's words. Of a lease: Vault does not know it, renews it no further, or its engine failed.
    BadRequest,
    /// Anything else; the same request would fail again.
    Final,
}

impl Failure {
    /// Returns what the failure means: the one place where that is decided.
    #[must_use]
    pub fn classify(&self) -> FailureKind {
        match self {
            Self::Unreachable(_) => FailureKind::NotSent,
            Self::Broken(_) | Self::TimedOut | Self::TooLarge | Self::OutOfMemory => FailureKind::AnswerLost,
            Self::Refused(refusal) => refusal.classify(),
            Self::NoRequest | Self::Empty(_) | Self::NotVault(_) | Self::Redirect(_) => FailureKind::Final,
        }
    }
}

impl FailureKind {
    /// Returns whether another token may do better.
    #[must_use]
    pub fn is_denial(self) -> bool {
        matches!(self, Self::TokenUnknown | Self::DeniedByPolicy | Self::DeniedByProxy)
    }
}

impl Refusal {
    fn classify(&self) -> FailureKind {
        match (self.status, &self.words) {
            (400, Some(_)) => FailureKind::BadRequest,
            (403, Some(words)) if names_unknown_token(words) => FailureKind::TokenUnknown,
            (403, Some(_)) => FailureKind::DeniedByPolicy,
            (403, None) => FailureKind::DeniedByProxy,
            (412 | 429 | 500.., _) => FailureKind::Temporary,
            _ => FailureKind::Final,
        }
    }
}

/// Returns whether these are Vault's words for a token that it does not know. OpenBao, and Vault before 1.17,
/// say it in bare words that no policy's denial has; later versions name the token. Vault gives no other sign
/// (<https://developer.hashicorp.com/vault/docs/concepts/tokens#error-responses>).
fn names_unknown_token(words: &str) -> bool {
    // several errors come as a list: "2 errors occurred: * permission denied * invalid token"
    words == "permission denied"
        || words.split(['*', ';']).any(|error| error.trim().ends_with("invalid token"))
}

#[cfg(test)]
mod tests {
    use super::{Failure, FailureKind, Refusal};

    fn kind(status: u16, words: Option<&str>) -> FailureKind {
        let words = words.map(ToOwned::to_owned);
        Failure::Refused(Refusal { status, words, retry_after: None, deleted: None }).classify()
    }

    #[test]
    fn only_vaults_own_words_say_what_a_denial_means() {
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
    fn statuses_that_may_pass_are_told_from_those_that_do_not() {
        for status in [412, 429, 500, 503, 599] {
            assert_eq!(kind(status, Some("sealed")), FailureKind::Temporary, "{status}");
        }
        for status in [301, 401, 404, 405, 418] {
            assert_eq!(kind(status, Some("no")), FailureKind::Final, "{status}");
        }
    }

    #[test]
    fn an_answer_that_nobody_has_may_have_had_an_effect() {
        for failure in
            [Failure::Broken(String::new()), Failure::TimedOut, Failure::TooLarge, Failure::OutOfMemory]
        {
            assert_eq!(failure.classify(), FailureKind::AnswerLost);
        }
        assert_eq!(Failure::Unreachable(String::new()).classify(), FailureKind::NotSent);
        assert_eq!(Failure::NoRequest.classify(), FailureKind::Final);
    }
}
