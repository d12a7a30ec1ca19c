//! What holds where a class says nothing: Vault's address, TLS, and limits.

mod environment;

use std::path::PathBuf;
use std::time::Duration;

pub use environment::BadVariable;

use coffer_vault::{Address, ConnectionSettings, Tls, check_segments, is_header_text};
pub use coffer_vault::{Proxy, RateLimit};

/// Settings of the process, below every class. Weakest to strongest: the defaults here, the environment,
/// the command line, the class.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Vault's address.
    pub address: Address,
    /// Vault namespace; none for the root namespace.
    pub namespace: Option<String>,
    /// Path of the auth method.
    pub auth_mount: String,
    /// Audience of the tokens that a driver sends along, where the class names none.
    pub audience: String,
    /// TLS towards Vault.
    pub tls: Tls,
    /// The time for one request to Vault.
    pub request_timeout: Duration,
    /// How often a GET is tried again.
    pub max_retries: usize,
    /// Requests a second to one Vault target.
    pub rate_limit: Option<RateLimit>,
    /// Whether Vault's redirects are followed.
    pub follow_redirects: bool,
    /// HTTP proxy in front of Vault.
    pub proxy: Option<Proxy>,
    /// Identities whose tokens are kept, at most.
    pub cache_size: usize,
    /// How old an answer may be that is not read again, where the class says nothing.
    pub refresh_interval: Duration,
    /// Directories whose files a class's TLS parameters may not name.
    pub protected_directories: Vec<PathBuf>,
}

impl Settings {
    /// Returns the settings of the connections to Vault.
    pub(crate) fn connections(&self) -> ConnectionSettings {
        ConnectionSettings {
            own_address: self.address.clone(),
            request_timeout: self.request_timeout,
            max_retries: self.max_retries,
            rate_limit: self.rate_limit,
            follow_redirects: self.follow_redirects,
            proxy: self.proxy.clone(),
            protected_directories: self.protected_directories.clone(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: Address::parse("https://127.0.0.1:8200")
                .unwrap_or_else(|_| unreachable!("a valid address")),
            namespace: None,
            auth_mount: "kubernetes".to_owned(),
            audience: "vault".to_owned(),
            tls: Tls::default(),
            request_timeout: Duration::from_secs(60),
            max_retries: 2,
            rate_limit: None,
            follow_redirects: true,
            proxy: None,
            cache_size: 1000,
            refresh_interval: Duration::ZERO,
            protected_directories: ["/var/run/secrets", "/proc"].map(PathBuf::from).to_vec(),
        }
    }
}

/// `strconv.ParseBool` of Go, which the incumbent reads booleans by.
///
/// # Errors
/// What is accepted instead.
pub fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

/// The path of an auth method, without slashes around it.
///
/// # Errors
/// What is wrong with it.
pub fn auth_mount(text: &str) -> Result<String, String> {
    let mount = text.trim_matches('/');
    check_segments(mount).map(|()| mount.to_owned()).map_err(|bad| bad.to_string())
}

/// A namespace, which is sent as a header.
///
/// # Errors
/// What is wrong with it.
pub fn namespace(text: &str) -> Result<String, String> {
    let reason = || format!("{text:?} is no namespace: one line of plain text");
    is_header_text(text).then(|| text.to_owned()).ok_or_else(reason)
}
