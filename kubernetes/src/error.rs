//! Errors of calls to kube-apiserver. Their texts hold no body and no URL.

use std::error::Error;
use std::time::Duration;

use coffer_connect::HttpFailure;
use coffer_provider::root_cause;
use kube::config::InClusterError;
use rustls::pki_types::InvalidDnsNameError;

use crate::{AuthFault, KubeconfigFault};

/// No client for kube-apiserver could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no configuration that says where kube-apiserver is.
    #[error(
        "no connection to kube-apiserver: neither a pod's service account nor a kubeconfig leads there: {}",
        root_cause(.0)
    )]
    NoConfig(#[source] InClusterError),
    /// The kubeconfig cannot be used.
    #[error("no connection to kube-apiserver: {0}")]
    Kubeconfig(#[from] KubeconfigFault),
    /// The user of the configuration has no credentials.
    #[error("no connection to kube-apiserver: {0}")]
    Auth(#[from] AuthFault),
    /// The configuration cannot be used, for example its certificate authority.
    #[error("no connection to kube-apiserver: {}", root_cause(.0))]
    BadConfig(#[source] Box<kube::Error>),
    /// The kubeconfig's `tls-server-name` is no host name.
    #[error("no connection to kube-apiserver: the TLS server name {name:?} is no host name")]
    ServerName {
        /// The name.
        name: String,
        /// Why it is none.
        source: InvalidDnsNameError,
    },
}

/// A call to kube-apiserver that failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no client to call with.
    #[error(transparent)]
    NotConnected(#[from] ConnectError),
    /// The time limit passed without an answer.
    #[error("kube-apiserver did not answer within {} seconds", .0.as_secs())]
    TimedOut(Duration),
    /// kube-apiserver answered with an error status.
    #[error("kube-apiserver answered {code} ({message})")]
    Refused {
        /// The HTTP status.
        code: u16,
        /// kube-apiserver's own words.
        message: String,
    },
    /// No answer came, for example because the connection failed.
    #[error("kube-apiserver cannot be reached: {}", cause(.0))]
    Unreachable(#[source] Box<kube::Error>),
    /// The answer is not the JSON of the expected object.
    #[error("kube-apiserver's answer cannot be read: {}", root_cause(.0))]
    Unreadable(#[source] Box<kube::Error>),
    /// A name is no name of Kubernetes', so no call was made with it.
    #[error("{0:?} is not the name of an object of Kubernetes")]
    NotName(String),
    /// The answer lacks a field that it must have.
    #[error("kube-apiserver's answer has no {0}")]
    Incomplete(&'static str),
}

impl CallError {
    /// Returns the HTTP status that kube-apiserver answered with, where it answered with an error.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// Returns the text of the connection's own failure, which names a proxy, or that of the innermost
/// source.
fn cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(HttpFailure::Unreachable(failure)) = error.downcast_ref() {
            return failure.to_string();
        }
        cause = error.source();
    }
    root_cause(error)
}

impl From<kube::Error> for CallError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Auth(error) => ConnectError::from(AuthFault::of(error, None)).into(),
            kube::Error::Api(status) => Self::Refused { code: status.code, message: status.message.clone() },
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Self::Unreadable(Box::new(error)),
            error => Self::Unreachable(Box::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::CallError;

    #[test]
    fn a_failed_call_is_classified_by_what_came_back() {
        let connection = kube::Error::Service("connection refused".into());
        let garbled = serde_json::from_str::<u8>("{").expect_err("no number");
        let unreachable = CallError::from(connection);
        assert_eq!(unreachable.to_string(), "kube-apiserver cannot be reached: connection refused");
        assert!(unreachable.source().is_some() && unreachable.status().is_none());
        let unreadable = CallError::from(kube::Error::SerdeError(garbled));
        assert!(matches!(unreadable, CallError::Unreadable(_)), "{unreadable}");
        let refused = CallError::Refused { code: 403, message: "forbidden".to_owned() };
        assert_eq!(refused.status(), Some(403));
        assert_eq!(refused.to_string(), "kube-apiserver answered 403 (forbidden)");
    }
}
