//! The flags for Vault's address, auth mount, namespace and TLS, and for the policy, which both
//! servers have.

use std::path::PathBuf;
use std::sync::Arc;

use coffer_provider::{
    Address, Authorities, ClientCertificate, ClientCertificateError, PolicyFile, Settings, TlsFile,
    TlsOverlay, settings,
};

use crate::FlagError;

/// Flags for what a SecretProviderClass may leave out. Each one is also known by OpenBao's name.
#[derive(Debug, clap::Args)]
pub struct VaultFlags {
    /// Vault's address [default: VAULT_ADDR, else https://127.0.0.1:8200]
    #[arg(long, alias = "openbao-addr", value_name = "URL")]
    vault_addr: Option<String>,

    /// Path of the auth method
    #[arg(long, alias = "openbao-mount", default_value = "kubernetes", value_name = "PATH")]
    vault_mount: String,

    /// Further auth mounts that a class may name where a client certificate is used
    #[arg(long, alias = "openbao-auth-mounts", value_delimiter = ',', value_name = "PATH,…")]
    vault_auth_mounts: Vec<String>,

    /// Vault namespace
    #[arg(long, alias = "openbao-namespace", value_name = "NAMESPACE")]
    vault_namespace: Option<String>,

    /// PEM file of the certificate authorities to trust
    #[arg(long, alias = "openbao-tls-ca-cert", value_name = "PATH")]
    vault_tls_ca_cert: Option<PathBuf>,

    /// Directory of PEM files of the certificate authorities to trust
    #[arg(long, alias = "openbao-tls-ca-directory", value_name = "PATH")]
    vault_tls_ca_directory: Option<PathBuf>,

    /// Host name to verify Vault's certificate for
    #[arg(long, alias = "openbao-tls-server-name", value_name = "NAME")]
    vault_tls_server_name: Option<String>,

    /// PEM file of the client certificate
    #[arg(long, alias = "openbao-tls-client-cert", value_name = "PATH")]
    vault_tls_client_cert: Option<PathBuf>,

    /// PEM file of the client certificate's key
    #[arg(long, alias = "openbao-tls-client-key", value_name = "PATH")]
    vault_tls_client_key: Option<PathBuf>,

    /// File with the policy, which says what classes of each namespace may name; read again when it
    /// changes
    #[arg(long, value_name = "PATH")]
    policy_file: Option<PathBuf>,
}

impl VaultFlags {
    /// Overlays `settings` with the flags that are set; an empty value counts as not set.
    ///
    /// # Errors
    /// Names the flag whose value is wrong or missing.
    pub fn overlay(self, settings: &mut Settings) -> Result<(), FlagError> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let file = |path: Option<PathBuf>| {
            path.filter(|path| !path.as_os_str().is_empty()).map(|path| TlsFile { path, parameter: None })
        };
        if let Some(address) = given(self.vault_addr) {
            settings.address = Address::parse(&address).map_err(|bad| FlagError::new("vault-addr", bad))?;
        }
        if let Some(mount) = given(Some(self.vault_mount)) {
            settings.auth_mount =
                settings::auth_mount(&mount).map_err(|reason| FlagError::new("vault-mount", reason))?;
        }
        let mounts = self.vault_auth_mounts.iter().filter(|mount| !mount.trim().is_empty());
        settings.auth_mounts = mounts
            .map(|mount| settings::auth_mount(mount.trim()))
            .collect::<Result<_, _>>()
            .map_err(|reason| FlagError::new("vault-auth-mounts", reason))?;
        if let Some(namespace) = given(self.vault_namespace) {
            let namespace = settings::namespace(&namespace);
            settings.namespace = Some(namespace.map_err(|reason| FlagError::new("vault-namespace", reason))?);
        }
        if let Some(path) = self.policy_file.filter(|path| !path.as_os_str().is_empty()) {
            let policy = PolicyFile::open(path).map_err(|error| FlagError::new("policy-file", error))?;
            settings.policy = Some(Arc::new(policy));
        }
        let (certificate, key) = (file(self.vault_tls_client_cert), file(self.vault_tls_client_key));
        let overlay = TlsOverlay {
            authorities: Authorities::from_files(
                file(self.vault_tls_ca_cert),
                file(self.vault_tls_ca_directory),
            ),
            server_name: given(self.vault_tls_server_name),
            client: ClientCertificate::from_files(certificate, key).map_err(|half| match half {
                ClientCertificateError::NoCertificate => FlagError::new("vault-tls-client-cert", half),
                ClientCertificateError::NoKey => FlagError::new("vault-tls-client-key", half),
            })?,
            skip_verify: None,
        };
        settings.tls = overlay.over(std::mem::take(&mut settings.tls));
        Ok(())
    }
}
