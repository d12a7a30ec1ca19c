//! Logins at Vault as a mount makes them, for commands that ask Vault about classes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use coffer_kubernetes::{KubeConnection, Kubernetes};
use coffer_provider::class::Class;
use coffer_provider::settings::{BadVariable, auth_mount};
use coffer_provider::{
    Address, Error, Identity, Issuing, Key, MonotonicClock, NoPodReports, PodSeen, Ports, Provider,
    ReadRequest, Secret, Settings, TokenMinter, VersionKey,
};
use futures_util::future::{BoxFuture, FutureExt, ready};
use tokio::time::Instant;

use crate::args::VaultArgs;
use crate::token::{ServiceAccountToken, TokenError};

/// Maximum size of the files of one class, that of an answer to the driver.
const MAX_FILES: usize = 4 << 20;

/// Timeout of one class.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A provider, and what the command line says of Vault.
pub(crate) struct VaultLogin {
    /// The provider.
    pub(crate) provider: Provider,
    settings: Settings,
    /// Parameters that replace those of every class, by the name without prefix.
    overriding: Vec<(&'static str, String)>,
    audience: Option<String>,
}

impl VaultLogin {
    /// Creates a login with the environment's settings, which coffer-csi reads too. `audience` is
    /// that of tokens for classes that name none.
    ///
    /// # Errors
    /// If a variable of the environment cannot be used.
    pub(crate) fn new(
        vault: &VaultArgs,
        audience: Option<&str>,
        minter: Arc<dyn TokenMinter>,
    ) -> Result<Self, BadVariable> {
        let mut settings = Settings::from_environment(&|name| std::env::var(name).ok())?;
        // these directories are coffer-csi's; here a file is read with the user's own rights
        settings.protected_directories.clear();
        own(&mut settings, vault);
        let audience = audience.map(str::to_owned);
        Ok(Self::with_settings(settings, overriding(vault), audience, minter))
    }

    /// Creates a login with settings. `overriding` are parameters that replace those of every class,
    /// by the name without prefix.
    pub(crate) fn with_settings(
        settings: Settings,
        overriding: Vec<(&'static str, String)>,
        audience: Option<String>,
        minter: Arc<dyn TokenMinter>,
    ) -> Self {
        let ports = Ports {
            minter,
            version_key: Arc::new(UnusedVersions),
            clock: Arc::new(MonotonicClock),
            metrics: Arc::default(),
            reporter: Arc::new(NoPodReports),
        };
        let provider = Provider::new(settings.clone(), ports);
        Self { provider, settings, overriding, audience }
    }

    /// Returns a read of a class, given by its provider, its parameters and the audience that it
    /// names. Nothing may be issued.
    ///
    /// # Errors
    /// If there is a mistake in the class.
    pub(crate) fn request(
        &self,
        (provider, parameters, audience): (&str, &BTreeMap<String, String>, Option<&str>),
        identity: Identity,
    ) -> Result<ReadRequest, Error> {
        let mut parameters = parameters.clone();
        for (name, value) in &self.overriding {
            set(&mut parameters, name, value);
        }
        if audience.is_none() {
            // the audience that the driver requests from kubelet when it is set up as documented
            let usual = if provider == "openbao" { "openbao" } else { "vault" };
            let audience = self.audience.as_deref().unwrap_or(usual);
            parameters.insert("audience".to_owned(), audience.to_owned());
        }
        Ok(ReadRequest {
            volume: String::new(),
            class: Arc::new(Class::parse(&parameters, &self.settings)?),
            identity,
            tokens: BTreeMap::new(),
            default_mode: 0o644,
            issuing: Issuing::Refused,
            max_bytes: MAX_FILES,
            deadline: Instant::now() + TIMEOUT,
        })
    }
}

/// Sets address and auth mount of the command line: they are the user's own, as those of the flags
/// of `coffer-csi` are the operator's. A mistake in them is found in the parameters.
fn own(settings: &mut Settings, vault: &VaultArgs) {
    if let Some(address) = vault.vault_addr.as_deref().and_then(|text| Address::parse(text).ok()) {
        settings.address = address;
    }
    if let Some(mount) = vault.vault_mount.as_deref().and_then(|text| auth_mount(text).ok()) {
        settings.auth_mount = mount;
    }
}

fn overriding(vault: &VaultArgs) -> Vec<(&'static str, String)> {
    let skip_verify = vault.vault_tls_skip_verify.then(|| "true".to_owned());
    let flags = [
        ("Address", &vault.vault_addr),
        ("Namespace", &vault.vault_namespace),
        ("KubernetesMountPath", &vault.vault_mount),
        ("CACertPath", &vault.vault_tls_ca_cert),
        ("TLSServerName", &vault.vault_tls_server_name),
        ("TLSClientCertPath", &vault.vault_tls_client_cert),
        ("TLSClientKeyPath", &vault.vault_tls_client_key),
        ("SkipTLSVerify", &skip_verify),
    ];
    flags.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
}

/// Sets a parameter, and removes the class's own with any prefix.
fn set(parameters: &mut BTreeMap<String, String>, name: &str, value: &str) {
    let other = if name == "KubernetesMountPath" { "AuthMountPath" } else { name };
    for prefix in ["bao", "openbao", "vault"] {
        parameters.remove(&format!("{prefix}{name}"));
        parameters.remove(&format!("{prefix}{other}"));
    }
    parameters.insert(format!("vault{name}"), value.to_owned());
}

/// The service account tokens to log in with.
pub(crate) struct LoginTokens {
    /// Where tokens come from.
    pub(crate) minter: Arc<dyn TokenMinter>,
    /// Namespace and name of the service account of a token file, if the token names them.
    pub(crate) account: Option<(String, String)>,
}

impl LoginTokens {
    /// Returns the token of a file, or without a file tokens that are requested over the connection.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub(crate) fn new(file: Option<&Path>, connection: Option<&KubeConnection>) -> Result<Self, TokenError> {
        let Some(file) = file else {
            let minter = connection.cloned().map(Kubernetes::from).unwrap_or_default();
            return Ok(Self { minter: Arc::new(minter), account: None });
        };
        let token = ServiceAccountToken::read(file)?;
        let account = token.account();
        Ok(Self { minter: Arc::new(TokenFromFile(Secret::from(token.text()))), account })
    }
}

/// Returns the token of a file for every identity.
struct TokenFromFile(Secret);

impl TokenMinter for TokenFromFile {
    fn mint<'a>(&'a self, _: &'a Identity, _: Option<&'a str>) -> BoxFuture<'a, Result<Secret, Error>> {
        ready(Ok(self.0.clone())).boxed()
    }
}

/// Returns the key of versions that nobody sees.
struct UnusedVersions;

impl VersionKey for UnusedVersions {
    fn key(&self, _: PodSeen) -> BoxFuture<'_, Result<Arc<Key>, Error>> {
        ready(Ok(Arc::new(Key::new(b"unused")))).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::set;

    #[test]
    fn a_flag_replaces_the_class_s_parameter_with_any_prefix() {
        let pairs =
            [("baoAddress", "a"), ("openbaoAddress", "b"), ("vaultAuthMountPath", "c"), ("roleName", "r")];
        let mut parameters: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        set(&mut parameters, "Address", "mine");
        set(&mut parameters, "KubernetesMountPath", "cluster");
        let left: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            left,
            [("roleName", "r"), ("vaultAddress", "mine"), ("vaultKubernetesMountPath", "cluster")]
        );
    }
}
