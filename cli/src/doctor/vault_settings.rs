//! How a program of the cluster reaches Vault: its environment and flags, with the files of
//! ConfigMaps and Secrets that they name.

use std::path::Path;
use std::sync::Arc;

use coffer_provider::settings::{BadVariable, ProxyRules, auth_mount, go_bool};
use coffer_provider::{Address, Authorities, BadAddress, Settings, TlsFile};
use data_encoding::BASE64;
use thiserror::Error;

use super::object::text;
use super::view::{ClusterView, Unseen};
use super::workload::{FileSource, Workload};
use crate::args::DoctorArgs;

/// Why it is not known how a program reaches Vault.
#[derive(Debug, Error)]
pub(super) enum VaultSettingsFault {
    /// A variable of its environment is wrong.
    #[error("{title}: {source}")]
    Variable {
        /// The workload.
        title: String,
        /// What is wrong.
        source: BadVariable,
    },
    /// The address is none.
    #[error("{title}: {source}")]
    Address {
        /// The workload.
        title: String,
        /// What is wrong.
        source: BadAddress,
    },
    /// The certificate authorities cannot be seen.
    #[error("{title} trusts the certificate authorities in {path}: {source}")]
    Authorities {
        /// The workload.
        title: String,
        /// The file in the container.
        path: String,
        /// Why.
        source: Unseen,
    },
    /// The certificate authorities are in no ConfigMap or Secret.
    #[error(
        "{title} trusts the certificate authorities in {path}, which cannot be read from here: name a copy by \
         --vault-tls-ca-cert"
    )]
    NotHere {
        /// The workload.
        title: String,
        /// The file in the container.
        path: String,
    },
}

/// Returns the settings of a program, with what the command line says. Proxies are those of here, and
/// a client certificate is left out.
pub(super) async fn of(
    workload: &Workload,
    view: &ClusterView,
    args: &DoctorArgs,
) -> Result<Settings, VaultSettingsFault> {
    let title = || workload.title();
    let mut settings = Settings::from_environment(&|name| workload.env(name))
        .map_err(|source| VaultSettingsFault::Variable { title: title(), source })?;
    let flag = |name: &str| {
        workload.flag(&format!("vault-{name}")).or_else(|| workload.flag(&format!("openbao-{name}")))
    };
    if let Some(address) = args.vault_addr.clone().or_else(|| flag("addr")) {
        let address = Address::parse(&address);
        settings.address =
            address.map_err(|source| VaultSettingsFault::Address { title: title(), source })?;
    }
    if let Some(mount) = flag("mount").and_then(|mount| auth_mount(&mount).ok()) {
        settings.auth_mount = mount;
    }
    settings.namespace = flag("namespace").filter(|namespace| !namespace.is_empty()).or(settings.namespace);
    settings.tls.client = None;
    let server_name = args.vault_tls_server_name.clone().or_else(|| flag("tls-server-name"));
    settings.tls.server_name = server_name.or(settings.tls.server_name);
    let skipped = flag("tls-skip-verify").and_then(|value| go_bool(&value).ok());
    settings.tls.skip_verify = args.vault_tls_skip_verify || skipped.unwrap_or(settings.tls.skip_verify);
    let file = flag("tls-ca-cert").or_else(|| flag("tls-ca-directory"));
    if let Some(path) = file {
        settings.tls.authorities = Authorities::File(TlsFile { path: path.into(), parameter: None });
    }
    settings.tls.authorities = match &args.vault_tls_ca_cert {
        Some(path) => Authorities::File(TlsFile { path: path.into(), parameter: None }),
        None => authorities(settings.tls.authorities, workload, view).await?,
    };
    settings.proxies = Arc::new(ProxyRules::from_environment(&|name| std::env::var(name).ok()));
    settings.protected_directories.clear();
    Ok(settings)
}

/// Returns authorities of the container as a text.
async fn authorities(
    authorities: Authorities,
    workload: &Workload,
    view: &ClusterView,
) -> Result<Authorities, VaultSettingsFault> {
    let path = match &authorities {
        Authorities::File(file) | Authorities::Directory(file) => shown(&file.path),
        Authorities::System | Authorities::Pem(_) => return Ok(authorities),
    };
    let not_here = || VaultSettingsFault::NotHere { title: workload.title(), path: path.clone() };
    let (resource, name, key) = match workload.file_source(&path) {
        FileSource::ConfigMap(name, key) => ("configmaps", name, key),
        FileSource::Secret(name, key) => ("secrets", name, key),
        FileSource::Elsewhere => return Err(not_here()),
    };
    let object = view.core_object(workload.namespace(), resource, &name).await;
    let object = object.map_err(|source| VaultSettingsFault::Authorities {
        title: workload.title(),
        path: path.clone(),
        source,
    })?;
    let object = object.unwrap_or_default();
    let stored = text(&object["data"], &key);
    let pem = match resource {
        "secrets" => BASE64.decode(stored.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok()),
        _ => Some(stored.to_owned()),
    };
    pem.filter(|pem| !pem.is_empty()).map(Authorities::Pem).ok_or_else(not_here)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
