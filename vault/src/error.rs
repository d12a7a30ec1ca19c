//! Errors before any request: the settings of a target are wrong, or there are too many targets.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::tls::{MAX_FILE_BYTES, MAX_FILES};
use crate::{Address, TlsFile};

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
        /// The error of the HTTP client.
        source: reqwest::Error,
    },
    /// The proxy is not a URL.
    #[error("the proxy of the environment (VAULT_PROXY_ADDR, HTTPS_PROXY…) is no URL")]
    Proxy(#[source] reqwest::Error),
    /// The TLS server name is an IP address.
    #[error("the TLS server name {0:?} is an IP address: use it as vaultAddress")]
    ServerNameIsAddress(String),
    /// The TLS server name is not a host name.
    #[error("the TLS server name {0:?} is no host name")]
    ServerNameInvalid(String),
    /// The maximum number of targets is in use.
    #[error("{0} Vault addresses are in use at once on this node; the mount is tried again")]
    TooMany(usize),
}

/// Why a file cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
pub struct TlsFileError {
    /// The file, and the parameter of the class that names the file.
    pub file: TlsFile,
    /// The problem of the file.
    #[source]
    pub problem: FileProblem,
}

/// The problem of a file that cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// The operating system refuses to read the file.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The file lies in a directory whose files a class must not name.
    #[error("it lies in a directory of the node agent's own")]
    Protected,
    /// The file is a device, a directory or too large.
    #[error("it is no regular file of at most {} MiB", MAX_FILE_BYTES >> 20)]
    NotRegular,
    /// The file holds no certificate.
    #[error("it holds no PEM certificate")]
    NoCertificate,
    /// The directory holds too many files.
    #[error("it holds more than {MAX_FILES} files")]
    TooManyFiles,
    /// The certificate or the key is not PEM, or the key belongs to another certificate.
    #[error("it is no PEM certificate, or {} no key of it", key.display())]
    NoIdentity {
        /// The file of the key.
        key: PathBuf,
    },
}

impl fmt::Display for TlsFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, problem) = (self.file.path.display(), &self.problem);
        match &self.file.parameter {
            Some(parameter) => write!(f, "parameter {parameter:?}: {path} cannot be used: {problem}"),
            None => write!(f, "TLS file {path} cannot be used: {problem}"),
        }
    }
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
