//! The parameters beside `objects`, under their own names, the incumbent's and OpenBao's.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Finding;
use crate::go_duration;
use crate::settings::{self, Settings, go_bool};
use coffer_vault::{Address, Authorities, ClientCertificate, Tls, TlsFile};

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

/// Parameters that never carry one; the second is the driver's.
const UNPREFIXED: [&str; 3] = ["objects", "secretProviderClass", "refreshInterval"];

/// What a driver adds to the class's own parameters.
pub(super) const DRIVERS_OWN: &str = "csi.storage.k8s.io/";

pub(super) struct Parameters<'a>(pub(super) &'a BTreeMap<String, String>);

impl<'a> Parameters<'a> {
    /// A mistake for each parameter that is longer than what is kept for every identity may be.
    pub(super) fn too_long(&self) -> impl Iterator<Item = Finding> {
        let long = |(name, value): &(&String, &String)| {
            value.len() > super::MAX_NAME && *name != "objects" && is_known(name)
        };
        self.0.iter().filter(long).map(|(name, _)| {
            Finding::of(name, format!("parameter {name:?} is longer than {} bytes", super::MAX_NAME))
        })
    }

    /// The parameter's full name and value; an empty value counts as unset, as with the incumbent.
    pub(super) fn get(&self, name: &str) -> Option<(&'a str, &'a str)> {
        let with = |prefix: &&str| {
            self.0.iter().find(|(full, value)| full.strip_prefix(*prefix) == Some(name) && !value.is_empty())
        };
        let prefixed = PREFIXES.iter().find_map(with).map(|(full, value)| (full.as_str(), value.as_str()));
        prefixed.or_else(|| self.exactly(plain(name)?))
    }

    fn exactly(&self, full: &'static str) -> Option<(&'a str, &'a str)> {
        self.0.get(full).filter(|value| !value.is_empty()).map(|value| (full, value.as_str()))
    }

    pub(super) fn objects(&self) -> Result<&'a str, Finding> {
        self.exactly("objects").map(|(_, value)| value).ok_or_else(|| missing("objects"))
    }

    pub(super) fn role(&self) -> Result<&'a str, Finding> {
        self.get("RoleName").map(|(_, value)| value).ok_or_else(|| missing("roleName"))
    }

    pub(super) fn address(&self, settings: &Settings) -> Result<Address, Finding> {
        self.get("Address").map_or_else(
            || Ok(settings.address.clone()),
            |(name, text)| Address::parse(text).map_err(|bad| wrong(name, &bad)),
        )
    }

    pub(super) fn namespace(&self, settings: &Settings) -> Result<Option<String>, Finding> {
        let Some((name, text)) = self.get("Namespace") else {
            return Ok(settings.namespace.clone());
        };
        settings::namespace(text).map(Some).map_err(|reason| wrong(name, &reason))
    }

    pub(super) fn auth_mount(&self, settings: &Settings) -> Result<String, Finding> {
        match (self.get("KubernetesMountPath"), self.get("AuthMountPath")) {
            (Some((one, _)), Some((other, _))) => {
                let message = format!("parameters {one:?} and {other:?} exclude each other: set one");
                Err(Finding::of(other, message))
            }
            (Some((name, mount)), None) | (None, Some((name, mount))) => {
                settings::auth_mount(mount).map_err(|reason| wrong(name, &reason))
            }
            (None, None) => Ok(settings.auth_mount.clone()),
        }
    }

    /// How old an answer may be that is not read again.
    pub(super) fn refresh_interval(&self, settings: &Settings) -> Result<Duration, Finding> {
        let Some((name, text)) = self.exactly("refreshInterval") else {
            return Ok(settings.refresh_interval);
        };
        go_duration::parse(text).ok_or_else(|| {
            wrong(name, &format!("{text:?} is no duration: write 30s, 5m, 1h30m, or 0 for none"))
        })
    }

    /// The class's own name, as a driver tells it.
    pub(super) fn class(&self) -> &'a str {
        self.exactly("secretProviderClass").map_or("", |(_, name)| name)
    }

    /// The class's TLS settings over the process's: authorities replace authorities, a certificate a certificate.
    pub(super) fn tls(&self, settings: &Settings) -> Result<Tls, Finding> {
        let mut tls = settings.tls.clone();
        let file = |name| self.file(name, settings);
        if let Some(authorities) = file("CACertPath")? {
            tls.authorities = Authorities::File(authorities);
        } else if let Some(directory) = file("CADirectory")? {
            tls.authorities = Authorities::Directory(directory);
        }
        if let Some((_, name)) = self.get("TLSServerName") {
            tls.server_name = Some(name.to_owned());
        }
        match (file("TLSClientCertPath")?, file("TLSClientKeyPath")?) {
            (Some(certificate), Some(key)) => tls.client = Some(ClientCertificate { certificate, key }),
            (None, None) => {}
            (certificate, _) => {
                let missing =
                    if certificate.is_some() { "vaultTLSClientKeyPath" } else { "vaultTLSClientCertPath" };
                return Err(Finding::of(
                    missing,
                    format!(
                        "parameter {missing:?} is missing: a client certificate needs its key, and a key its certificate"
                    ),
                ));
            }
        }
        if let Some((name, text)) = self.get("SkipTLSVerify") {
            tls.skip_verify = go_bool(text).map_err(|reason| wrong(name, &reason))?;
        }
        Ok(tls)
    }

    /// A file that TLS needs. Links are looked into when it is read; where it says itself that it is the node agent's own, here.
    fn file(&self, name: &str, settings: &Settings) -> Result<Option<TlsFile>, Finding> {
        let Some((full, path)) = self.get(name) else { return Ok(None) };
        let file = TlsFile { path: path.into(), parameter: Some(full.to_owned()) };
        if settings.protected_directories.iter().any(|directory| file.path.starts_with(directory)) {
            let reason = format!("{path} cannot be used: it lies in a directory of the node agent's own");
            return Err(wrong(full, &reason));
        }
        Ok(Some(file))
    }

    /// A warning for each parameter that nobody reads.
    pub(super) fn unknown(&self) -> impl Iterator<Item = Finding> {
        let known = known_names();
        let unknown = self.0.keys().filter(|name| !is_known(name));
        unknown.map(move |name| Finding::of(name, super::unknown_field("parameter", name, &known)))
    }
}

fn wrong(name: &str, reason: &impl fmt::Display) -> Finding {
    Finding::of(name, format!("parameter {name:?}: {reason}"))
}

/// The name that a parameter may also have without a prefix.
fn plain(name: &str) -> Option<&'static str> {
    PLAIN.iter().find(|(prefixed, _)| *prefixed == name).map(|(_, plain)| *plain)
}

fn missing(name: &str) -> Finding {
    Finding::of(name, format!("parameter {name:?} is missing from the SecretProviderClass"))
}

fn prefixed_names() -> impl Iterator<Item = &'static str> {
    PREFIXED.into_iter().chain(PLAIN.map(|(prefixed, _)| prefixed))
}

fn is_known(name: &str) -> bool {
    let has_prefix = |prefix: &&str| {
        name.strip_prefix(*prefix).is_some_and(|rest| prefixed_names().any(|prefixed| prefixed == rest))
    };
    name.starts_with(DRIVERS_OWN)
        || UNPREFIXED.contains(&name)
        || PLAIN.iter().any(|(_, plain)| *plain == name)
        || PREFIXES.iter().any(has_prefix)
}

/// Every name there is; OpenBao's come last, so that a near miss is told Vault's.
fn known_names() -> Vec<String> {
    let plain = UNPREFIXED.into_iter().chain(PLAIN.map(|(_, plain)| plain)).map(ToOwned::to_owned);
    let prefixed =
        PREFIXES.iter().rev().flat_map(|prefix| prefixed_names().map(move |name| format!("{prefix}{name}")));
    plain.chain(prefixed).collect()
}

#[cfg(test)]
mod tests {
    use super::{PREFIXES, known_names};
    use crate::class::objects::FIELDS;

    /// The names in the first column of a section's table.
    fn listed(heading: &str) -> Vec<&'static str> {
        let (_, section) =
            include_str!("../../../docs/reference.md").split_once(heading).expect("the section");
        let section = section.split("\n#").next().unwrap_or_default();
        let names = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
        let mut names: Vec<_> =
            names.flat_map(|names| names.split(['`', ',', ' '])).filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_reference_lists_every_parameter_and_field_and_no_other() {
        // by Vault's prefix where one is usual; the driver's own name is no parameter of a class
        let usual =
            |name: &str| !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || name.starts_with("vault");
        let other = ["secretProviderClass", "vaultRoleName", "vaultAudience"];
        let mut known = known_names();
        known.retain(|name| usual(name) && !other.contains(&name.as_str()));
        known.sort_unstable();
        assert_eq!(listed("## SecretProviderClass parameters\n"), known);
        let mut fields = FIELDS;
        fields.sort_unstable();
        assert_eq!(listed("### Objects\n"), fields);
    }
}
