//! Why an HTTP request failed, and whether it may be sent again.

use std::error::Error as StdError;
use std::sync::Arc;

use h2::Reason;
use hyper_util::client::legacy;

use crate::{ConnectFailure, TlsFailure};

/// Why a request has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HttpFailure {
    /// No connection was made.
    #[error(transparent)]
    Unreachable(Arc<ConnectFailure>),
    /// The request was not written, or the server said that it did not begin with the request
    /// (HTTP/2: `REFUSED_STREAM`, or a `GOAWAY` that leaves the request out).
    #[error("the connection ended before the request: {0}")]
    NotProcessed(BreakCause),
    /// The connection broke after the request was sent, or while it was sent.
    #[error("{cause}")]
    Broken {
        /// What ended the connection.
        cause: BreakCause,
        /// Whether the connection had answered before: it may have been dead already.
        is_kept: bool,
    },
    /// No answer came in time.
    #[error("no answer in time")]
    TimedOut {
        /// Whether the connection had answered before: it may be dead.
        is_kept: bool,
    },
}

/// What ended a connection, or one request on it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", innermost(&**.0))]
pub struct BreakCause(#[source] Arc<dyn StdError + Send + Sync>);

impl BreakCause {
    /// Returns the cause that is this error.
    #[must_use]
    pub fn new(error: impl StdError + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

impl HttpFailure {
    /// Returns whether the connection was dead, so that the same request may succeed at once over a
    /// new connection: a kept one broke or did not answer, or the request was not begun.
    #[must_use]
    pub fn is_dead_connection(&self) -> bool {
        match self {
            Self::Broken { is_kept, .. } | Self::TimedOut { is_kept } => *is_kept,
            Self::NotProcessed(_) => true,
            Self::Unreachable(_) => false,
        }
    }

    /// Returns what an error of the HTTP client means. `is_kept`: the connection had answered
    /// before.
    pub(crate) fn of(error: legacy::Error, is_kept: bool) -> Self {
        if let Some(failure) = find::<Arc<ConnectFailure>>(&error) {
            return Self::Unreachable(Arc::clone(failure));
        }
        let was_not_begun = error.is_connect()
            || find::<hyper::Error>(&error).is_some_and(hyper::Error::is_canceled)
            || find::<h2::Error>(&error).is_some_and(is_refusal);
        let cause = BreakCause::new(error);
        if was_not_begun { Self::NotProcessed(cause) } else { Self::Broken { cause, is_kept } }
    }

    /// Returns the failure with why the server ended TLS as its cause, if it did.
    pub(crate) fn because_of(mut self, ended: Option<TlsFailure>) -> Self {
        if let (Self::NotProcessed(cause) | Self::Broken { cause, .. }, Some(ended)) = (&mut self, ended) {
            *cause = BreakCause::new(ended);
        }
        self
    }

    /// Returns what an error in the middle of a body means.
    #[must_use]
    pub fn of_body(error: hyper::Error) -> Self {
        Self::Broken { cause: BreakCause::new(error), is_kept: false }
    }
}

/// Returns whether the server said that it did not begin with the request. The streams that a
/// `GOAWAY` of the server includes go on, and fail in another way (RFC 9113, 6.8 and 8.7).
fn is_refusal(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
}

/// Returns the first error of this type among an error and its sources.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}
