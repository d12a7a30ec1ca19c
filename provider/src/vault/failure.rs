//! A request to Vault that brought no usable answer, before it is known for which object it was made.

use std::time::Duration;

use crate::{Error, ErrorKind};

/// Why a request failed. It holds no byte of a body but Vault's own error words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection; nothing was sent.
    Unreachable(String),
    /// Address and path make no URL.
    NoRequest,
    /// The connection broke after the request was sent.
    Broken(String),
    /// No complete answer in time.
    TimedOut,
    /// A status other than success.
    Refused(Refusal),
    /// The answer is larger than one may be.
    TooLarge,
    /// Too many bytes of other answers are in memory.
    Crowded,
    /// A success with nothing in it.
    Empty(u16),
    /// A success that is no answer of Vault's.
    NotVault(String),
    /// A redirect that must not be followed, with the reason.
    Redirect(String),
}

/// An answer with an error status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// Vault's own words.
    pub(crate) words: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    /// A version of a KV v2 secret that was deleted, and when.
    pub(crate) deleted: Option<String>,
}

impl Failure {
    /// Whether a GET is tried again after it.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused(refusal) => matches!(refusal.status, 412 | 429 | 500..),
            _ => false,
        }
    }

    /// Whether Vault did not accept the token.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self, Self::Refused(Refusal { status: 403, .. }))
    }

    /// Whether Vault says that it does not know the token: OpenBao, and Vault before 1.17, in bare words that no policy's
    /// denial has, later ones in so many
    /// (<https://developer.hashicorp.com/vault/docs/concepts/tokens#error-responses>). A proxy's 403 says nothing of the kind.
    pub(crate) fn disowns_token(&self) -> bool {
        let Self::Refused(Refusal { status: 403, words: Some(words), .. }) = self else { return false };
        words == "permission denied" || words.contains("invalid token")
    }

    /// Whether Vault itself denied the request to a token that it knows.
    pub(crate) fn is_policy(&self) -> bool {
        matches!(self, Self::Refused(Refusal { status: 403, words: Some(_), .. })) && !self.disowns_token()
    }

    /// Whether Vault itself found the request wrong: of a lease, that it does not know it, renews it no further, or that the
    /// engine behind it failed.
    pub(crate) fn is_bad_request(&self) -> bool {
        matches!(self, Self::Refused(Refusal { status: 400, words: Some(_), .. }))
    }

    /// Whether Vault may have done what it was asked for, and nobody has its answer.
    pub(crate) fn is_lost_answer(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::TimedOut | Self::TooLarge | Self::Crowded)
    }

    /// The error of a read, as far as the failure itself knows it. `server` is the address that was asked.
    pub(crate) fn into_error(self, server: &str) -> Error {
        match self {
            Self::Refused(refusal) => refusal.into_error(server),
            Self::Unreachable(cause) => {
                Error::new(ErrorKind::Unavailable, format!("cannot reach Vault at {server}: {cause}"))
                    .with_advice("Check the address and that the node reaches it")
            }
            Self::Broken(cause) => Error::new(
                ErrorKind::Unavailable,
                format!("the connection to Vault at {server} broke: {cause}"),
            ),
            Self::NoRequest => Error::class(format!("the path and {server} make no URL")),
            Self::TimedOut => {
                Error::new(ErrorKind::TimedOut, format!("Vault at {server} did not answer in time"))
            }
            Self::TooLarge => Error::new(
                ErrorKind::TooLarge,
                format!("the answer is larger than {} MiB", super::http::MAX_BODY >> 20),
            ),
            Self::Crowded => Error::new(
                ErrorKind::Unavailable,
                "too many large answers are in memory; the mount is tried again",
            ),
            Self::Empty(status) => {
                Error::new(ErrorKind::BadAnswer, format!("Vault answered HTTP {status} with nothing in it"))
                    .with_advice("Check that the path is one that can be read")
            }
            Self::NotVault(what) => {
                Error::new(ErrorKind::BadAnswer, format!("{server} answered with {what}"))
                    .with_advice("Check that the address is Vault's own, not a proxy's or a web page's")
            }
            Self::Redirect(reason) => {
                Error::new(ErrorKind::BadAnswer, format!("Vault at {server} redirects: {reason}"))
            }
        }
    }
}

impl Refusal {
    fn into_error(self, server: &str) -> Error {
        let Self { status, words, deleted, .. } = self;
        if let Some(deleted) = deleted {
            return Error::new(ErrorKind::NotFound, deleted)
                .with_advice("Undelete it, or write a new version");
        }
        let error = match status {
            403 => Error::new(ErrorKind::Denied, "Vault denied the request (HTTP 403)"),
            404 => Error::new(ErrorKind::NotFound, "Vault has nothing at this path (HTTP 404)")
                .with_advice("Check the path: KV version 2 reads lie under MOUNT/data/"),
            400 | 405 => {
                Error::new(ErrorKind::BadAnswer, format!("Vault refused the request (HTTP {status})"))
            }
            412 | 429 | 500.. => {
                Error::new(ErrorKind::Unavailable, format!("Vault at {server} failed (HTTP {status})"))
            }
            _ => Error::new(ErrorKind::BadAnswer, format!("{server} answered HTTP {status}")),
        };
        error.with_vault(words)
    }
}
