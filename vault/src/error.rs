//! Errors before any request: the settings of a target are wrong, or there are too many targets.

use std::error::Error as StdError;
use std::io;

use crate::{Address, TlsFileError};

/// Why connections to a target cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A file that the TLS settings name cannot be used.
    #[error(transparent)]
    File(#[from] TlsFileError),
    /// `VAULT_CACERT_BYTES` holds no certificate.
    #[error("environment variable VAULT_CACERT_BYTES holds no PEM certificate")]
    NoPem,
    /// The TLS client cannot be built from the settings.
    #[error("cannot set up TLS for {address}: {}", root_cause(source))]
    Setup {
        /// The server.
        address: Address,
        /// The error of the TLS library.
        source: rustls::Error,
    },
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
