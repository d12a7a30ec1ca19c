//! Errors before any request: the settings of a target are wrong, or there are too many targets.

use std::error::Error as StdError;
use std::io;

use coffer_connect::BundleProblem;

use crate::TlsFileError;

/// Why connections to a target cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A file that the TLS settings name cannot be used.
    #[error(transparent)]
    File(#[from] TlsFileError),
    /// `VAULT_CACERT_BYTES` holds no certificate.
    #[error("environment variable VAULT_CACERT_BYTES cannot be used: {0}")]
    NoPem(#[source] BundleProblem),
    /// The TLS server name is not a host name.
    #[error("the TLS server name {0:?} is no host name")]
    ServerNameInvalid(String),
    /// There is no thread for requests to servers of classes.
    #[error("the system gives no thread for requests to the address: {0}")]
    Thread(#[source] io::Error),
    /// The namespace uses as many targets as it may.
    #[error(
        "this namespace uses as many Vault addresses at once on this node as it may; the mount is tried again"
    )]
    TooMany,
}

/// Returns the text of an error's innermost source: what the operating system or TLS reports,
/// without URLs.
#[must_use]
pub fn root_cause(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
