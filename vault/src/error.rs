//! Why a target cannot be reached at all: its settings are wrong, or there are too many targets.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use crate::tls::{MAX_FILE_BYTES, MAX_FILES};
use crate::{Address, TlsFile};

/// Why there are no connections to a target.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A file that its TLS settings name.
    #[error(transparent)]
    File(#[from] TlsFileError),
    /// `VAULT_CACERT_BYTES` holds no certificate.
    #[error("environment variable VAULT_CACERT_BYTES holds no PEM certificate")]
    NoPem,
    /// The settings fit no TLS client.
    #[error("cannot set up TLS for {address}: {}", root_cause(source))]
    Setup {
        /// The server.
        address: Address,
        /// What the HTTP client says.
        source: reqwest::Error,
    },
    /// The proxy is no URL.
    #[error("the proxy of the environment (VAULT_PROXY_ADDR, HTTPS_PROXY…) is no URL")]
    Proxy(#[source] reqwest::Error),
    /// The TLS server name is an IP address.
    #[error("the TLS server name {0:?} is an IP address: use it as vaultAddress")]
    ServerNameIsAddress(String),
    /// The TLS server name is no host name.
    #[error("the TLS server name {0:?} is no host name")]
    ServerNameInvalid(String),
    /// All places for targets are in use.
    #[error("{0} Vault addresses are in use at once on this node; the mount is tried again")]
    TooMany(usize),
}

/// Why a file cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
#[error("{}{} cannot be used: {problem}", named(file), file.path.display())]
pub struct TlsFileError {
    /// The file, and the class's parameter that names it.
    pub file: TlsFile,
    /// What is wrong.
    #[source]
    pub problem: FileProblem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// The system refuses to read it.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// A class must not name it.
    #[error("it lies in a directory of the node agent's own")]
    Protected,
    /// It is a device, a directory or too large.
    #[error("it is no regular file of at most {} MiB", MAX_FILE_BYTES >> 20)]
    NotRegular,
    /// It holds no certificate.
    #[error("it holds no PEM certificate")]
    NoCertificate,
    /// It is a directory of too many files.
    #[error("it holds more than {MAX_FILES} files")]
    TooManyFiles,
    /// Certificate and key do not make a client certificate.
    #[error("it is no PEM certificate, or {} no key of it", key.display())]
    NoIdentity {
        /// The key's file.
        key: PathBuf,
    },
}

/// How a message begins: with the class's parameter that names the file, where one does.
fn named(file: &TlsFile) -> String {
    match &file.parameter {
        Some(parameter) => format!("parameter {parameter:?}: "),
        None => "TLS file ".to_owned(),
    }
}

/// Returns the innermost cause of a library's error: what the operating system or TLS said, without URLs.
#[must_use]
pub fn root_cause(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
