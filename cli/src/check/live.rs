//! `--live`: logs in to Vault and reads what classes name, as a mount would, but issues nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coffer_kubernetes::{KubeConnection, Kubernetes};
use coffer_provider::class::Class;
use coffer_provider::settings::{BadVariable, auth_mount};
use coffer_provider::{
    Address, Error, ErrorKind, Identity, Issuing, Key, MonotonicClock, Outcome, PodSeen, Ports, Probed,
    Provider, ReadRequest, Secret, Settings, TokenMinter, VersionKey,
};
use futures_util::future::{BoxFuture, FutureExt, ready};
use tokio::time::Instant;

use super::checked_class::CheckedClass;
use super::report::Severity;
use crate::args::{CheckArgs, VaultArgs};
use crate::manifest::class::ClassManifest;
use crate::token::{ServiceAccountToken, TokenError};

/// Timeout of one class.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why no class is tried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LiveError {
    /// An environment variable has a value that cannot be used.
    #[error(transparent)]
    Environment(#[from] BadVariable),
    /// The token file cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// A provider that tries classes, and as whom.
pub(crate) struct LiveCheck {
    provider: Provider,
    settings: Settings,
    /// Parameters that replace those of every class, by the name without prefix.
    overriding: Vec<(&'static str, String)>,
    namespace: Option<String>,
    service_account: Option<String>,
    audience: Option<String>,
}

impl LiveCheck {
    /// Creates a check with the environment's settings, which coffer-csi reads too.
    /// Tokens are requested over `connection`, which `--service-account` needs.
    pub(crate) fn new(args: &CheckArgs, connection: Option<&KubeConnection>) -> Result<Self, LiveError> {
        let mut settings = Settings::from_environment(&|name| std::env::var(name).ok())?;
        // these directories are coffer-csi's; here a file is read with the user's own rights
        settings.protected_directories.clear();
        own(&mut settings, &args.vault);
        let (minter, account): (Arc<dyn TokenMinter>, _) = match &args.token_file {
            Some(file) => {
                let token = ServiceAccountToken::read(file)?;
                let account = token.account();
                (Arc::new(TokenFromFile(Secret::from(token.text()))), account)
            }
            None => (Arc::new(connection.cloned().map(Kubernetes::from).unwrap_or_default()), None),
        };
        let ports = Ports {
            minter,
            version_key: Arc::new(NoVersions),
            clock: Arc::new(MonotonicClock),
            metrics: Arc::default(),
        };
        Ok(Self {
            provider: Provider::new(settings.clone(), ports),
            settings,
            overriding: overriding(&args.vault),
            namespace: args
                .namespace
                .clone()
                .or(account.as_ref().map(|(namespace, _)| namespace.clone()))
                .or(connection.map(|connection| connection.namespace.clone())),
            service_account: args.service_account.clone().or(account.map(|(_, account)| account)),
            audience: args.audience.clone(),
        })
    }

    /// Tries every object of a class. Mistakes are added to the class's findings; the first failure
    /// that is not the class's is returned.
    pub(crate) async fn check(&self, checked: &mut CheckedClass<'_>) -> Option<String> {
        let probed = match self.probe(checked.class()).await {
            Ok(probed) => probed,
            Err(error) => return add_or_return(checked, &error),
        };
        let mut failure = None;
        for probed in probed {
            match probed.outcome {
                Outcome::Readable(files) => {
                    files.into_iter().for_each(|file| checked.add_file(&probed.object, file));
                }
                Outcome::Absent => {
                    let note = "no file: the object is optional, and what it names is not in Vault";
                    checked.add_live(Severity::Note, Some(&probed.object), note.to_owned());
                }
                Outcome::Skipped(reason) => {
                    checked.add_live(Severity::Note, Some(&probed.object), format!("not tried: {reason}"));
                }
                Outcome::Failed(error) => failure = failure.or(add_or_return(checked, &error)),
            }
        }
        failure
    }

    async fn probe(&self, class: &ClassManifest) -> Result<Vec<Probed>, Error> {
        let parsed = Class::parse(&self.parameters(class), &self.settings)?;
        self.provider.probe(&self.request(class, parsed)).await
    }

    fn request(&self, class: &ClassManifest, parsed: Class) -> ReadRequest {
        let namespace = class.namespace.clone().or_else(|| self.namespace.clone());
        ReadRequest {
            volume: String::new(),
            class: Arc::new(parsed),
            identity: Identity {
                namespace: namespace.unwrap_or_else(|| "default".to_owned()),
                service_account: self
                    .service_account
                    .clone()
                    .unwrap_or_else(|| "of the token file".to_owned()),
                pod: None,
            },
            tokens: BTreeMap::new(),
            default_mode: 0o644,
            issuing: Issuing::Refused,
            max_bytes: usize::MAX,
            deadline: Instant::now() + TIMEOUT,
        }
    }

    /// Returns the class's parameters with those of the command line, and with an audience.
    fn parameters(&self, class: &ClassManifest) -> BTreeMap<String, String> {
        let mut parameters = class.parameters.clone();
        for (name, value) in &self.overriding {
            set(&mut parameters, name, value);
        }
        if class.audience().is_none() {
            // the audience that the driver requests from kubelet when it is set up as documented
            let usual = if class.provider == "openbao" { "openbao" } else { "vault" };
            let audience = self.audience.as_deref().unwrap_or(usual);
            parameters.insert("audience".to_owned(), audience.to_owned());
        }
        parameters
    }
}

/// Adds an error to the class's findings if a change of the class or of Vault's policies is needed.
/// Returns the message of any other error.
fn add_or_return(checked: &mut CheckedClass<'_>, error: &Error) -> Option<String> {
    use ErrorKind::{
        BadAnswer, Denied, InvalidClass, Issues, LoginRefused, NotFound, RefusedByPolicy, TooLarge,
    };
    // what is for the operator of an agent is for the user of this tool
    let message = format!("{:#}", Error { object: None, ..error.clone() });
    match error.kind {
        BadAnswer | Denied | InvalidClass | Issues | LoginRefused | NotFound | RefusedByPolicy | TooLarge => {
            checked.add_live(Severity::Error, error.object.as_deref(), message);
            None
        }
        _ => Some(format!("cannot try class {}: {message}", checked.class().name)),
    }
}

/// Sets address and auth mount of the command line: they are the user's own, as those of the flags of
/// `coffer-csi` are the operator's. A mistake in them is found in the parameters.
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

/// Returns the token of a file for every identity.
struct TokenFromFile(Secret);

impl TokenMinter for TokenFromFile {
    fn mint<'a>(&'a self, _: &'a Identity, _: Option<&'a str>) -> BoxFuture<'a, Result<Secret, Error>> {
        ready(Ok(self.0.clone())).boxed()
    }
}

/// Refuses to return a key, since a check makes no versions.
struct NoVersions;

impl VersionKey for NoVersions {
    fn key(&self, _: PodSeen) -> BoxFuture<'_, Result<Arc<Key>, Error>> {
        ready(Err(Error::new(ErrorKind::NoVersionKey, "a check makes no versions"))).boxed()
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
