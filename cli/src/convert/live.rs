//! `--live`: asks Vault which paths are of KV version 2, as the workload's own service account.

use std::collections::{BTreeMap, BTreeSet};

use coffer_kubernetes::KubeConnection;
use coffer_provider::settings::BadVariable;
use coffer_provider::{Error, ErrorKind, Identity, Issuing};
use serde::Deserialize;
use thiserror::Error as ThisError;
use tokio::runtime::Runtime;

use super::class::ConvertedClass;
use super::refine::Asked;
use crate::args::ConvertArgs;
use crate::token::TokenError;
use crate::vault_login::{LoginTokens, VaultLogin};

/// Why Vault cannot be asked at all.
#[derive(Debug, ThisError)]
pub(crate) enum LiveMountsError {
    /// An environment variable has a value that cannot be used.
    #[error(transparent)]
    Environment(#[from] BadVariable),
    /// The token file cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Who a pod is to Vault.
pub(super) struct Pod<'a> {
    /// The namespace, if the manifest names one.
    pub(super) namespace: Option<&'a str>,
    /// The service account.
    pub(super) service_account: &'a str,
    /// The workload, as `kubectl` names it.
    pub(super) workload: String,
}

/// Asks Vault for the engines behind paths.
pub(super) struct LiveMounts<'a> {
    runtime: &'a Runtime,
    login: VaultLogin,
    namespace: String,
    service_account: Option<String>,
    known: BTreeMap<(String, String, String), Option<KvMount>>,
    /// Logins after which Vault did not answer, or refused.
    failed: BTreeSet<(String, String)>,
}

/// The answer of `sys/internal/ui/mounts/PATH`, as far as it counts here.
#[derive(Deserialize)]
struct MountAnswer {
    data: MountData,
}

#[derive(Deserialize)]
struct MountData {
    #[serde(default)]
    path: String,
    #[serde(default, rename = "type")]
    engine: String,
    #[serde(default)]
    options: Option<MountOptions>,
}

#[derive(Deserialize)]
struct MountOptions {
    #[serde(default)]
    version: Option<String>,
}

/// The mount of an engine.
#[derive(Clone)]
struct KvMount {
    path: String,
    is_versioned: bool,
}

impl<'a> LiveMounts<'a> {
    /// Prepares logins. Tokens are requested over `connection`, unless a token file is named.
    pub(super) fn new(
        args: &ConvertArgs,
        runtime: &'a Runtime,
        connection: Option<&KubeConnection>,
    ) -> Result<Self, LiveMountsError> {
        let LoginTokens { minter, account } = LoginTokens::new(args.token_file.as_deref(), connection)?;
        let (namespace, own) = account.unzip();
        let namespace =
            args.namespace.clone().or(namespace).or(connection.map(|open| open.namespace.clone()));
        Ok(Self {
            runtime,
            login: VaultLogin::new(&args.vault, args.audience.as_deref(), minter)?,
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            service_account: args.service_account.clone().or(own),
            known: BTreeMap::new(),
            failed: BTreeSet::new(),
        })
    }

    /// Returns what Vault says of a path that a class reads.
    ///
    /// # Errors
    /// If Vault does not answer, or refuses the login. Then it is not asked with this login again.
    pub(super) fn ask(&mut self, class: &ConvertedClass, pod: &Pod<'_>, path: &str) -> Result<Asked, Error> {
        let namespace = pod.namespace.unwrap_or(&self.namespace).to_owned();
        let account = self.service_account.clone().unwrap_or_else(|| pod.service_account.to_owned());
        let login = (format!("{namespace}/{account}"), format!("{:?}", class.parameters));
        if self.failed.contains(&login) {
            return Ok(Asked::Unknown);
        }
        let key = (login.0.clone(), login.1.clone(), path.to_owned());
        if !self.known.contains_key(&key) {
            let identity = Identity { namespace, service_account: account, pod: None };
            let mount = self.mount(class, identity, path).inspect_err(|error| {
                // a denied path says nothing of other paths
                if error.kind != ErrorKind::Denied {
                    self.failed.insert(login);
                }
            })?;
            self.known.insert(key.clone(), mount);
        }
        let mount = self.known.get(&key).cloned().flatten();
        Ok(match mount {
            None => Asked::Unknown,
            Some(mount) if !mount.is_versioned => Asked::Right,
            Some(mount) => versioned_path(&mount.path, path),
        })
    }

    fn mount(
        &self,
        class: &ConvertedClass,
        identity: Identity,
        path: &str,
    ) -> Result<Option<KvMount>, Error> {
        let mut parameters: BTreeMap<String, String> = class.parameters_with_objects();
        let question = serde_json::json!([{
            "objectName": "mount",
            "secretPath": format!("sys/internal/ui/mounts/{path}"),
        }]);
        parameters.insert("objects".to_owned(), question.to_string());
        let audience = parameters.get("audience").cloned();
        let mut request =
            self.login.request((&class.provider, &parameters, audience.as_deref()), identity)?;
        // this endpoint issues nothing, but that is not known of it
        request.issuing = Issuing::Allowed;
        let bundle = self.runtime.block_on(self.login.provider.read(&request))?;
        let answer = bundle
            .files
            .first()
            .and_then(|file| serde_json::from_slice::<MountAnswer>(file.contents.expose()).ok());
        Ok(answer.map(|MountAnswer { data }| KvMount {
            is_versioned: data.engine == "kv"
                && data.options.and_then(|options| options.version).as_deref() == Some("2"),
            path: data.path,
        }))
    }
}

/// Returns the path of KV version 2 that the agent makes of a path.
fn versioned_path(mount: &str, path: &str) -> Asked {
    let mount = mount.trim_matches('/');
    let Some(rest) = path.strip_prefix(mount) else { return Asked::Unknown };
    let rest = rest.trim_matches('/');
    match rest.split('/').next() {
        Some("data" | "metadata") if rest.contains('/') => Asked::Right,
        _ if rest.is_empty() => Asked::Other(format!("{mount}/data")),
        _ => Asked::Other(format!("{mount}/data/{rest}")),
    }
}
