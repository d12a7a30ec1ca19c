//! The settings of the process: Vault's address, TLS and limits. A class can override most of them.

mod environment;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coffer_vault::{
    Address, BadPath, ConnectionSettings, OperatorServers, Tls, check_segments, is_header_text,
};
pub use coffer_vault::{ProxyRules, RateLimit, TrustedAddresses};
pub use environment::BadVariable;

use crate::PolicyFile;

/// Settings of the process. From weakest to strongest: the defaults here, the environment, the
/// command line, the class.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Vault's address.
    pub address: Address,
    /// Further addresses of the operator's, which may get what classes' own addresses may not.
    pub trusted_addresses: TrustedAddresses,
    /// Vault namespace; none is the root namespace.
    pub namespace: Option<String>,
    /// Path of the auth method.
    pub auth_mount: String,
    /// Further auth mounts that a class may name where a client certificate is used.
    pub auth_mounts: Vec<String>,
    /// Audience of the service account tokens that a driver sends, if the class names none.
    pub audience: String,
    /// TLS to Vault.
    pub tls: Tls,
    /// Timeout of one request to Vault.
    pub request_timeout: Duration,
    /// How often a failed GET is repeated.
    pub max_retries: usize,
    /// Limit of the requests to one Vault target; none is no limit.
    pub rate_limit: Option<RateLimit>,
    /// Whether redirects by Vault are followed.
    pub follow_redirects: bool,
    /// The proxies for requests to Vault.
    pub proxies: Arc<ProxyRules>,
    /// Maximum number of identities whose Vault token is cached.
    pub cache_size: usize,
    /// Bytes of memory for all that namespaces can cause. One namespace alone can have half of them.
    pub memory: usize,
    /// How long an answer of Vault is used before it is read again, if the class does not say.
    pub refresh_interval: Duration,
    /// Directories whose files a class's TLS parameters may not name.
    pub protected_directories: Vec<PathBuf>,
    /// File of the process's own service account token, whose audiences are the cluster's own.
    pub own_token: Option<PathBuf>,
    /// The operator's policy.
    pub policy: Option<Arc<PolicyFile>>,
}

impl Settings {
    /// Returns the settings of the connections to Vault.
    pub(crate) fn connections(&self) -> ConnectionSettings {
        ConnectionSettings {
            operator: self.operator_servers(),
            own_certificate: self.tls.client.clone(),
            request_timeout: self.request_timeout,
            max_retries: self.max_retries,
            rate_limit: self.rate_limit,
            follow_redirects: self.follow_redirects,
            proxies: Arc::clone(&self.proxies),
            protected_directories: self.protected_directories.clone(),
        }
    }

    /// Returns which servers are the operator's.
    pub(crate) fn operator_servers(&self) -> OperatorServers {
        OperatorServers {
            address: self.address.clone(),
            trusted: self.trusted_addresses.clone(),
            server_name: self.tls.server_name.clone(),
        }
    }
}

/// A text that is not a boolean.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither true nor false")]
pub struct NotABoolean(String);

/// A text that is not a Vault namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no namespace: one line of plain text, without \".\" and \"..\" segments")]
pub struct BadNamespace(String);

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: Address::parse("https://127.0.0.1:8200")
                .unwrap_or_else(|_| unreachable!("a valid address")),
            trusted_addresses: TrustedAddresses::Listed(Vec::new()),
            namespace: None,
            auth_mount: "kubernetes".to_owned(),
            auth_mounts: Vec::new(),
            audience: "vault".to_owned(),
            tls: Tls::default(),
            request_timeout: Duration::from_secs(60),
            max_retries: 2,
            rate_limit: None,
            follow_redirects: true,
            proxies: Arc::default(),
            cache_size: 1000,
            memory: 32 << 20,
            refresh_interval: Duration::ZERO,
            protected_directories: ["/var/run/secrets", "/proc"].map(PathBuf::from).to_vec(),
            own_token: None,
            policy: None,
        }
    }
}

/// Parses a boolean by the rules of Go's `strconv.ParseBool`, as the incumbent does.
///
/// ```
/// use coffer_provider::settings::go_bool;
///
/// assert_eq!(go_bool("T"), Ok(true));
/// assert_eq!(go_bool("0"), Ok(false));
/// assert!(go_bool("yes").is_err());
/// ```
///
/// # Errors
/// [`NotABoolean`], with the text.
pub fn go_bool(text: &str) -> Result<bool, NotABoolean> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(NotABoolean(text.to_owned())),
    }
}

/// Parses the path of an auth method, and removes slashes around the path.
///
/// # Errors
/// [`BadPath`], if the path has a segment that may not be sent to Vault.
pub fn auth_mount(text: &str) -> Result<String, BadPath> {
    let mount = text.trim_matches('/');
    check_segments(mount)?;
    Ok(mount.to_owned())
}

/// Parses a Vault namespace, which is sent as an HTTP header.
///
/// # Errors
/// [`BadNamespace`], if the text is empty, cannot be the value of a header, or has a segment that
/// leads to another namespace than it seems: OpenBao takes `team-a/../team-b` as `team-b`.
pub fn namespace(text: &str) -> Result<String, BadNamespace> {
    let leads_elsewhere = text.split('/').any(|segment| matches!(segment.trim(), "." | ".."));
    if is_header_text(text) && !leads_elsewhere {
        Ok(text.to_owned())
    } else {
        Err(BadNamespace(text.to_owned()))
    }
}
