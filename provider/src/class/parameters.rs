//! The parameters other than `objects`, each under its names: the incumbent's and OpenBao's.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::TlsParameters;
use super::finding::Finding;
use super::unknown;
use crate::go_duration;
use crate::settings::{self, Settings, go_bool};
use coffer_vault::{
    Address, Authorities, ClientCertificate, ClientCertificateError, Target, Tls, TlsFile, TlsOverlay,
};

/// The prefixes. If a parameter is set with several of them, the first in this list counts.
const PREFIXES: [&str; 3] = ["bao", "openbao", "vault"];

/// Parameters that need a prefix, for example `vaultAddress`.
const PREFIXED: [&str; 4] = ["Address", "Namespace", "KubernetesMountPath", "AuthMountPath"];

/// Parameters for TLS, which need a prefix too.
const TLS: [&str; 6] =
    ["CACertPath", "CADirectory", "TLSServerName", "TLSClientCertPath", "TLSClientKeyPath", "SkipTLSVerify"];

/// Parameters with a prefix or without: the name after a prefix, and the name without one.
const PLAIN: [(&str, &str); 2] = [("RoleName", "roleName"), ("Audience", "audience")];

/// Parameters without a prefix. The driver sets `secretProviderClass`, the name of the class.
const UNPREFIXED: [&str; 3] = ["objects", "secretProviderClass", "refreshInterval"];

/// The start of the names that a driver adds to the class's own parameters.
pub(super) const DRIVERS_OWN: &str = "csi.storage.k8s.io/";

/// Longest value of a parameter other than `objects`, in bytes: every session stores them.
const MAX_VALUE_BYTES: usize = 1024;

/// The parameters of one class.
pub(super) struct Parameters<'a> {
    pub(super) all: &'a BTreeMap<String, String>,
    pub(super) tls: TlsParameters,
}

impl<'a> Parameters<'a> {
    /// Returns a mistake for each parameter whose value is too long.
    pub(super) fn too_long(&self) -> impl Iterator<Item = Finding> {
        let long = |(name, value): &(&String, &String)| {
            value.len() > MAX_VALUE_BYTES && *name != "objects" && is_known(name) && !self.ignores(name)
        };
        self.all.iter().filter(long).map(|(name, _)| {
            Finding::of(name, format!("parameter {name:?} is longer than {MAX_VALUE_BYTES} bytes"))
        })
    }

    fn ignores(&self, name: &str) -> bool {
        self.tls == TlsParameters::Ignored && has_prefix(name, |rest| TLS.contains(&rest))
    }

    /// Returns a parameter's full name and value. An empty value counts as unset, as with the
    /// incumbent.
    pub(super) fn get(&self, name: &str) -> Option<(&'a str, &'a str)> {
        let with = |prefix: &&str| {
            self.all
                .iter()
                .find(|(full, value)| full.strip_prefix(*prefix) == Some(name) && !value.is_empty())
        };
        let prefixed = PREFIXES.iter().find_map(with).map(|(full, value)| (full.as_str(), value.as_str()));
        prefixed.or_else(|| self.exactly(plain(name)?))
    }

    fn exactly(&self, full: &'static str) -> Option<(&'a str, &'a str)> {
        self.all.get(full).filter(|value| !value.is_empty()).map(|value| (full, value.as_str()))
    }

    /// Returns the text of `objects`.
    pub(super) fn objects(&self) -> Result<&'a str, Finding> {
        self.exactly("objects").map(|(_, value)| value).ok_or_else(|| missing("objects"))
    }

    /// Returns the role to log in with.
    pub(super) fn role(&self) -> Result<&'a str, Finding> {
        self.get("RoleName").map(|(_, value)| value).ok_or_else(|| missing("roleName"))
    }

    /// Returns Vault's address. A socket of the node is the operator's choice.
    pub(super) fn address(&self, settings: &Settings) -> Result<Address, Finding> {
        let Some((name, text)) = self.get("Address") else { return Ok(settings.address.clone()) };
        let address = Address::parse(text).map_err(|bad| wrong(name, &bad))?;
        if matches!(address, Address::Unix(_)) && !settings.operator_servers().own(&address, None) {
            let reason = format!(
                "{address} is a socket of the node, which only the operator may choose \
                 (-vault-addr, -vault-trusted-addresses)"
            );
            return Err(wrong(name, &reason));
        }
        Ok(address)
    }

    /// Returns Vault's namespace; none is the root namespace.
    pub(super) fn namespace(&self, settings: &Settings) -> Result<Option<String>, Finding> {
        let Some((name, text)) = self.get("Namespace") else {
            return Ok(settings.namespace.clone());
        };
        settings::namespace(text).map(Some).map_err(|bad| wrong(name, &bad))
    }

    /// Returns the path of the auth method.
    pub(super) fn auth_mount(&self, settings: &Settings) -> Result<String, Finding> {
        match (self.get("KubernetesMountPath"), self.get("AuthMountPath")) {
            (Some((one, _)), Some((other, _))) => {
                let message = format!("parameters {one:?} and {other:?} exclude each other: set one");
                Err(Finding::of(other, message))
            }
            (Some((name, mount)), None) | (None, Some((name, mount))) => {
                settings::auth_mount(mount).map_err(|bad| wrong(name, &bad))
            }
            (None, None) => Ok(settings.auth_mount.clone()),
        }
    }

    /// Returns how long an answer of Vault is used before it is read again.
    pub(super) fn refresh_interval(&self, settings: &Settings) -> Result<Duration, Finding> {
        let Some((name, text)) = self.exactly("refreshInterval") else {
            return Ok(settings.refresh_interval);
        };
        go_duration::parse(text).ok_or_else(|| {
            wrong(name, &format!("{text:?} is no duration: write 30s, 5m, 1h30m, or 0 for none"))
        })
    }

    /// Returns the name of the class, which the driver sends; else an empty text.
    pub(super) fn class(&self) -> &'a str {
        self.exactly("secretProviderClass").map_or("", |(_, name)| name)
    }

    /// Returns the process's TLS settings with those of the class in their place: the class's
    /// authorities replace the process's, and so does its client certificate. Only the operator's
    /// servers get the process's client certificate. Ignored parameters are not read.
    pub(super) fn tls(&self, address: Option<&Address>, settings: &Settings) -> Result<Tls, Finding> {
        if self.tls == TlsParameters::Ignored {
            return Ok(settings.tls.clone());
        }
        let file = |name| self.tls_file(name, settings);
        let authorities = match file("CACertPath")? {
            Some(authorities) => Some(Authorities::File(authorities)),
            None => file("CADirectory")?.map(Authorities::Directory),
        };
        let client = ClientCertificate::from_files(file("TLSClientCertPath")?, file("TLSClientKeyPath")?);
        let skip_verify =
            self.get("SkipTLSVerify").map(|(name, text)| go_bool(text).map_err(|bad| wrong(name, &bad)));
        let overlay = TlsOverlay {
            authorities,
            server_name: self.get("TLSServerName").map(|(_, name)| name.to_owned()),
            client: client.map_err(half_a_client_certificate)?,
            skip_verify: skip_verify.transpose()?,
        };
        let server_name = overlay.server_name.as_deref().or(settings.tls.server_name.as_deref());
        let is_operators =
            address.is_none_or(|address| settings.operator_servers().own(address, server_name));
        let client = settings.tls.client.clone().filter(|_| is_operators);
        Ok(overlay.over(Tls { client, ..settings.tls.clone() }))
    }

    /// Returns a mistake if the class names an auth mount that the operator does not list, and a
    /// client certificate is used. Vault's method `cert`, at whatever path, logs in whoever shows the
    /// certificate, and ignores the service account token.
    pub(super) fn unlisted_auth_mount(
        &self,
        target: &Target,
        mount: &str,
        settings: &Settings,
    ) -> Option<Finding> {
        let (name, _) = self.get("KubernetesMountPath").or_else(|| self.get("AuthMountPath"))?;
        let listed = settings.auth_mount == mount || settings.auth_mounts.iter().any(|other| other == mount);
        let reason = format!(
            "auth mount {mount:?} is not one that a class may name where a client certificate is used: the \
             operator lists those (-vault-mount, -vault-auth-mounts)"
        );
        (target.uses_client_certificate() && !listed).then(|| wrong(name, &reason))
    }

    /// Returns a file for TLS. A path that lies in one of the node agent's own directories is
    /// refused here; a link to one is refused when the file is read.
    fn tls_file(&self, name: &str, settings: &Settings) -> Result<Option<TlsFile>, Finding> {
        let Some((full, path)) = self.get(name) else { return Ok(None) };
        let file = TlsFile { path: path.into(), parameter: Some(full.to_owned()) };
        if settings.protected_directories.iter().any(|directory| file.path.starts_with(directory)) {
            let reason = format!("{path} cannot be used: it lies in a directory of the node agent's own");
            return Err(wrong(full, &reason));
        }
        Ok(Some(file))
    }

    /// Returns a warning for each parameter with an unknown name.
    pub(super) fn unknown(&self) -> impl Iterator<Item = Finding> {
        let known = known_names();
        let unknown = self.all.keys().filter(|name| !is_known(name));
        unknown.map(move |name| Finding::of(name, unknown::warning("parameter", name, &known)))
    }
}

fn half_a_client_certificate(half: ClientCertificateError) -> Finding {
    let missing = match half {
        ClientCertificateError::NoCertificate => "vaultTLSClientCertPath",
        ClientCertificateError::NoKey => "vaultTLSClientKeyPath",
    };
    let message = format!(
        "parameter {missing:?} is missing: a client certificate needs its key, and a key its certificate"
    );
    Finding::of(missing, message)
}

fn wrong(name: &str, reason: &impl fmt::Display) -> Finding {
    Finding::of(name, format!("parameter {name:?}: {reason}"))
}

/// Returns the name that a parameter may have without a prefix.
fn plain(name: &str) -> Option<&'static str> {
    PLAIN.iter().find(|(prefixed, _)| *prefixed == name).map(|(_, plain)| *plain)
}

fn missing(name: &str) -> Finding {
    Finding::of(name, format!("parameter {name:?} is missing from the SecretProviderClass"))
}

fn prefixed_names() -> impl Iterator<Item = &'static str> {
    PREFIXED.into_iter().chain(TLS).chain(PLAIN.map(|(prefixed, _)| prefixed))
}

fn is_known(name: &str) -> bool {
    name.starts_with(DRIVERS_OWN)
        || UNPREFIXED.contains(&name)
        || PLAIN.iter().any(|(_, plain)| *plain == name)
        || has_prefix(name, |rest| prefixed_names().any(|prefixed| prefixed == rest))
}

fn has_prefix(name: &str, is_known: impl Fn(&str) -> bool) -> bool {
    PREFIXES.iter().filter_map(|prefix| name.strip_prefix(prefix)).any(is_known)
}

/// Returns every known name. OpenBao's come last, so that Vault's name is suggested for a
/// misspelling.
fn known_names() -> Vec<String> {
    let plain = UNPREFIXED.into_iter().chain(PLAIN.map(|(_, plain)| plain)).map(ToOwned::to_owned);
    let prefixed =
        PREFIXES.iter().rev().flat_map(|prefix| prefixed_names().map(move |name| format!("{prefix}{name}")));
    plain.chain(prefixed).collect()
}

#[cfg(test)]
mod tests {
    use super::{PREFIXES, known_names};
    use crate::class::objects::fields::FIELDS;

    /// Returns the names in the first column of a section's table, sorted.
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
        // the reference has the names with Vault's prefix, and not the parameter that the driver
        // sets
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
