//! The parameters beside `objects`, under their own names, the incumbent's and OpenBao's.

use std::collections::BTreeMap;

use crate::Error;
use crate::settings::{self, Settings, go_bool};
use crate::vault::{Address, Authorities, ClientCertificate, Tls, TlsFile};

/// Names that take a prefix; where several prefixes are set, the first counts.
const PREFIXES: [&str; 3] = ["bao", "openbao", "vault"];

/// Parameters that carry a prefix, `vaultAddress` for one.
const PREFIXED: [&str; 10] = [
    "Address",
    "Namespace",
    "CACertPath",
    "CADirectory",
    "TLSServerName",
    "TLSClientCertPath",
    "TLSClientKeyPath",
    "SkipTLSVerify",
    "KubernetesMountPath",
    "AuthMountPath",
];

/// Parameters that stand with a prefix or without.
const PLAIN: [(&str, &str); 2] = [("RoleName", "roleName"), ("Audience", "audience")];

/// What a driver adds to the class's own parameters.
const DRIVERS_OWN: &str = "csi.storage.k8s.io/";

pub(super) struct Parameters<'a>(&'a BTreeMap<String, String>);

impl<'a> Parameters<'a> {
    pub(super) fn new(parameters: &'a BTreeMap<String, String>) -> Self {
        Self(parameters)
    }

    /// The parameter's full name and value; an empty value counts as unset, as with the incumbent.
    pub(super) fn get(&self, name: &str) -> Option<(String, &'a str)> {
        let plain = PLAIN.iter().find(|(prefixed, _)| *prefixed == name).map_or(name, |(_, plain)| plain);
        PREFIXES.iter().map(|prefix| format!("{prefix}{name}")).chain([plain.to_owned()]).find_map(|full| {
            let value = self.0.get(&full).filter(|value| !value.is_empty())?;
            Some((full, value.as_str()))
        })
    }

    pub(super) fn required(&self, name: &str) -> Result<&'a str, Error> {
        let plain = PLAIN.iter().find(|(prefixed, _)| *prefixed == name).map_or(name, |(_, plain)| plain);
        self.get(name).map(|(_, value)| value).ok_or_else(|| {
            Error::class(format!("parameter {plain:?} is missing from the SecretProviderClass"))
        })
    }

    pub(super) fn address(&self, settings: &Settings) -> Result<Address, Error> {
        self.get("Address").map_or_else(
            || Ok(settings.address.clone()),
            |(name, text)| {
                Address::parse(text).map_err(|bad| Error::class(format!("parameter {name:?}: {bad}")))
            },
        )
    }

    pub(super) fn namespace(&self, settings: &Settings) -> Result<Option<String>, Error> {
        let Some((name, text)) = self.get("Namespace") else {
            return Ok(settings.namespace.clone());
        };
        settings::namespace(text)
            .map(Some)
            .map_err(|reason| Error::class(format!("parameter {name:?}: {reason}")))
    }

    pub(super) fn auth_mount(&self, settings: &Settings) -> Result<String, Error> {
        let (name, mount) = match (self.get("KubernetesMountPath"), self.get("AuthMountPath")) {
            (Some((one, _)), Some((other, _))) => {
                return Err(Error::class(format!(
                    "parameters {one:?} and {other:?} exclude each other: set one"
                )));
            }
            (Some(named), None) | (None, Some(named)) => named,
            (None, None) => ("auth mount".to_owned(), settings.auth_mount.as_str()),
        };
        let mount = mount.trim_matches('/');
        super::request_path::check_segments(mount)
            .map_err(|reason| Error::class(format!("parameter {name:?}: {reason}")))?;
        Ok(mount.to_owned())
    }

    /// The class's TLS settings over the process's: authorities replace authorities, a certificate a certificate.
    pub(super) fn tls(&self, settings: &Settings) -> Result<Tls, Error> {
        let mut tls = settings.tls.clone();
        let file = |name| self.get(name).map(|(_, path)| TlsFile { path: path.into(), from_class: true });
        if let Some(authorities) = file("CACertPath") {
            tls.authorities = Authorities::File(authorities);
        } else if let Some(directory) = file("CADirectory") {
            tls.authorities = Authorities::Directory(directory);
        }
        if let Some((_, name)) = self.get("TLSServerName") {
            tls.server_name = Some(name.to_owned());
        }
        match (file("TLSClientCertPath"), file("TLSClientKeyPath")) {
            (Some(certificate), Some(key)) => tls.client = Some(ClientCertificate { certificate, key }),
            (None, None) => {}
            (certificate, _) => {
                let missing =
                    if certificate.is_some() { "vaultTLSClientKeyPath" } else { "vaultTLSClientCertPath" };
                return Err(Error::class(format!(
                    "parameter {missing:?} is missing: a client certificate needs its key, and a key its certificate"
                )));
            }
        }
        if let Some((name, text)) = self.get("SkipTLSVerify") {
            tls.skip_verify =
                go_bool(text).map_err(|reason| Error::class(format!("parameter {name:?}: {reason}")))?;
        }
        Ok(tls)
    }

    /// A line for each parameter that nobody reads.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut known: Vec<String> = vec!["objects".into(), "secretProviderClass".into()];
        known.extend(PLAIN.iter().map(|(_, plain)| (*plain).to_owned()));
        // OpenBao's names last, so that a near miss is told Vault's
        for prefix in ["vault", "bao", "openbao"] {
            known.extend(
                PREFIXED
                    .iter()
                    .chain(PLAIN.iter().map(|(name, _)| name))
                    .map(|name| format!("{prefix}{name}")),
            );
        }
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let unknown =
            self.0.keys().filter(|name| !name.starts_with(DRIVERS_OWN) && !known.contains(&name.as_str()));
        unknown.map(|name| super::unknown_field("parameter", name, &known)).collect()
    }
}
