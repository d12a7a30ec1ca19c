//! Logs in and reads, as a mount would, and issues nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use coffer_kubernetes::Kubernetes;
use coffer_provider::class::Class;
use coffer_provider::{
    Error, ErrorKind, Identity, Issuing, Key, MonotonicClock, Outcome, PodSeen, Ports, Provider, ReadRequest,
    Secret, Settings, TokenMinter, VersionKey,
};
use futures_util::future::{BoxFuture, FutureExt, ready};
use tokio::time::Instant;

use super::report::Severity;
use super::rules::Checked;
use crate::args::{Check, Vault};
use crate::token;

/// The time for one class.
const DEADLINE: Duration = Duration::from_secs(60);

/// A provider that tries classes.
pub(crate) struct Live {
    provider: Provider,
    settings: Settings,
    /// What counts before every class's own, by parameter without prefix.
    overriding: Vec<(&'static str, String)>,
    namespace: Option<String>,
    service_account: Option<String>,
    audience: Option<String>,
}

impl Live {
    /// Over the environment's settings, which are coffer-csi's too.
    pub(crate) fn new(args: &Check) -> Result<Self> {
        // Fails only if one is installed already, which does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut settings = Settings::from_environment(&|name| std::env::var(name).ok())?;
        // who runs this may read what they may read
        settings.protected_directories.clear();
        let (minter, account): (Arc<dyn TokenMinter>, _) = match &args.token_file {
            Some(file) => {
                let token = token::read(file)?;
                let account = token.account();
                (Arc::new(Given(Secret::from(token.text()))), account)
            }
            None => (Arc::new(Kubernetes::default()), None),
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
            namespace: args.namespace.clone().or(account.as_ref().map(|(namespace, _)| namespace.clone())),
            service_account: args.service_account.clone().or(account.map(|(_, account)| account)),
            audience: args.audience.clone(),
        })
    }

    /// Tries the class's objects; gives what kept it from doing so.
    pub(crate) async fn check(&self, class: &mut Checked<'_>) -> Option<String> {
        let name = class.manifest.class.name.clone();
        let probed = match self.request(class) {
            Ok(request) => self.provider.probe(&request).await,
            Err(error) => Err(error),
        };
        match probed {
            Ok(probed) => {
                let mut failed = Vec::new();
                for probed in probed {
                    match probed.outcome {
                        Outcome::Readable => {}
                        Outcome::Skipped(reason) => {
                            class.add_live(
                                Severity::Note,
                                Some(&probed.object),
                                format!("not tried: {reason}"),
                            );
                        }
                        Outcome::Failed(error) => failed.extend(told(class, &name, &error)),
                    }
                }
                failed.into_iter().next()
            }
            Err(error) => told(class, &name, &error),
        }
    }

    fn request(&self, class: &Checked<'_>) -> std::result::Result<ReadRequest, Error> {
        let class = &class.manifest.class;
        let mut parameters = class.parameters.clone();
        for (name, value) in &self.overriding {
            set(&mut parameters, name, value);
        }
        let names = ["baoAudience", "openbaoAudience", "vaultAudience", "audience"];
        if !names.iter().any(|name| parameters.get(*name).is_some_and(|audience| !audience.is_empty())) {
            // what a driver asks kubelet for where tokens are set up as the documents say
            let usual = if class.provider == "openbao" { "openbao" } else { "vault" };
            let audience = self.audience.as_deref().unwrap_or(usual);
            parameters.insert("audience".to_owned(), audience.to_owned());
        }
        let namespace = class.namespace.clone().or_else(|| self.namespace.clone());
        Ok(ReadRequest {
            volume: String::new(),
            class: Arc::new(Class::parse(&parameters, &self.settings)?),
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
            deadline: Instant::now() + DEADLINE,
        })
    }
}

/// Adds a failure to the class's findings where the class or Vault's policies are to be mended; else gives it back.
fn told(class: &mut Checked<'_>, name: &str, error: &Error) -> Option<String> {
    use ErrorKind::{BadAnswer, Denied, InvalidClass, Issues, LoginRefused, NotFound, TooLarge};
    let message = Error { object: None, ..error.clone() }.to_string();
    match error.kind {
        BadAnswer | Denied | InvalidClass | Issues | LoginRefused | NotFound | TooLarge => {
            class.add_live(Severity::Error, error.object.as_deref(), message);
            None
        }
        _ => Some(format!("cannot try class {name}: {message}")),
    }
}

fn overriding(vault: &Vault) -> Vec<(&'static str, String)> {
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

/// Sets a parameter in place of what the class says by any prefix.
fn set(parameters: &mut BTreeMap<String, String>, name: &str, value: &str) {
    let other = if name == "KubernetesMountPath" { "AuthMountPath" } else { name };
    for prefix in ["bao", "openbao", "vault"] {
        parameters.remove(&format!("{prefix}{name}"));
        parameters.remove(&format!("{prefix}{other}"));
    }
    parameters.insert(format!("vault{name}"), value.to_owned());
}

/// The token of a file, whoever asks.
struct Given(Secret);

impl TokenMinter for Given {
    fn mint<'a>(&'a self, _: &'a Identity, _: Option<&'a str>) -> BoxFuture<'a, Result<Secret, Error>> {
        ready(Ok(self.0.clone())).boxed()
    }
}

/// A check makes no versions.
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
    fn a_flag_counts_before_a_class_by_whatever_prefix() {
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
