//! One rule of the policy: whom it is for, and what it allows.

use coffer_vault::{Address, BadAddress};

use crate::class::Class;
use crate::glob::{BadGlob, Glob};

/// A rule. A list that is missing allows everything, an empty one nothing.
#[derive(Debug)]
pub(super) struct Rule {
    /// The line at which the rule begins.
    pub(super) line: u64,
    pub(super) namespaces: Option<Vec<Glob>>,
    pub(super) vault_addresses: Option<Vec<AddressPattern>>,
    pub(super) vault_namespaces: Option<Vec<Glob>>,
    pub(super) auth_mounts: Option<Vec<Glob>>,
    pub(super) roles: Option<Vec<Glob>>,
    pub(super) audiences: Option<Vec<Glob>>,
    pub(super) skip_tls_verify: bool,
}

/// Which addresses of Vault a rule allows.
#[derive(Debug)]
pub(super) enum AddressPattern {
    Any,
    Exactly(Address),
    Like(Glob),
}

/// What a rule forbids in a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Forbidden {
    /// The parameter's name after the prefix.
    pub(super) parameter: &'static str,
    /// What is wrong with the parameter's value.
    pub(super) reason: String,
}

/// Why a text is no pattern of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadAddressPattern {
    #[error(transparent)]
    Address(#[from] BadAddress),
    #[error("{0:?} {1}")]
    Glob(String, BadGlob),
    #[error("{0:?} is no pattern of addresses: write * alone, or SCHEME://HOST[:PORT] with patterns in it")]
    NoScheme(String),
}

impl Rule {
    /// Returns whether the rule is for a namespace of Kubernetes.
    pub(super) fn is_for(&self, namespace: &str) -> bool {
        allows(self.namespaces.as_ref(), namespace)
    }

    /// Returns everything that the rule forbids in a class.
    pub(super) fn forbidden(&self, class: &Class) -> Vec<Forbidden> {
        let (address, mount) = (&class.target.address, class.auth_mount.as_str());
        let namespace = class.namespace.as_deref().map(vault_namespace).unwrap_or_default();
        let audience = class.audience.as_deref().unwrap_or_default();
        let is_address = |patterns: &Vec<AddressPattern>| patterns.iter().any(|like| like.matches(address));
        let mut forbidden = Vec::new();
        let mut forbid = |parameter, reason| forbidden.push(Forbidden { parameter, reason });
        if !self.vault_addresses.as_ref().is_none_or(is_address) {
            forbid("Address", unlisted(&address.to_string(), "vaultAddresses"));
        }
        if !allows(self.vault_namespaces.as_ref(), &namespace) {
            let value = if namespace.is_empty() { "the root namespace" } else { &format!("{namespace:?}") };
            forbid("Namespace", unlisted(value, "vaultNamespaces"));
        }
        if !allows(self.auth_mounts.as_ref(), mount) {
            forbid("AuthMountPath", unlisted(&format!("{mount:?}"), "authMounts"));
        }
        if !allows(self.roles.as_ref(), &class.role) {
            forbid("RoleName", unlisted(&format!("{:?}", class.role), "roles"));
        }
        if !allows(self.audiences.as_ref(), audience) {
            let value =
                if audience.is_empty() { "a class without an audience" } else { &format!("{audience:?}") };
            forbid("Audience", unlisted(value, "audiences"));
        }
        if class.target.tls.skip_verify && !self.skip_tls_verify {
            forbid("SkipTLSVerify", "the rule wants Vault's certificate verified".to_owned());
        }
        forbidden
    }
}

impl AddressPattern {
    /// Parses an address, or a pattern of addresses. A pattern never matches a `/`: otherwise
    /// `https://*.example.com` would match `https://evil.net/x.example.com`.
    ///
    /// # Errors
    /// [`BadAddressPattern`].
    pub(super) fn parse(text: &str) -> Result<Self, BadAddressPattern> {
        let text = text.trim();
        if text == "*" {
            return Ok(Self::Any);
        }
        // first, since an IPv6 address has brackets too
        let parsed = Address::parse(text);
        match parsed {
            Ok(address) if !text.contains(['*', '?']) => return Ok(Self::Exactly(address)),
            Err(bad) if !text.contains(['*', '?', '[']) => return Err(bad.into()),
            _ => {}
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(BadAddressPattern::NoScheme(text.to_owned()));
        };
        let glob = Glob::parse(&normalised(&scheme.to_lowercase(), rest));
        let glob = glob.map_err(|bad| BadAddressPattern::Glob(text.to_owned(), bad))?;
        Ok(Self::Like(glob.with_separator('/')))
    }

    fn matches(&self, address: &Address) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(exactly) => exactly == address,
            Self::Like(glob) => glob.matches(&address.to_string()),
        }
    }
}

/// Returns a pattern in the form that addresses have: a host in lower case, no default port, no
/// slash at the end.
fn normalised(scheme: &str, rest: &str) -> String {
    let rest = rest.trim_end_matches('/');
    if scheme == "unix" {
        return format!("unix://{rest}");
    }
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let host = host.to_lowercase();
    format!("{scheme}://{}{path}", host.strip_suffix(port).unwrap_or(&host))
}

/// Returns a Vault namespace in one form, as Vault and OpenBao read it: without empty segments, and
/// empty for the root namespace, which is also called `root`.
pub(super) fn vault_namespace(text: &str) -> String {
    let segments: Vec<&str> = text.trim().split('/').filter(|segment| !segment.is_empty()).collect();
    match segments[..] {
        ["root"] => String::new(),
        _ => segments.join("/"),
    }
}

fn allows(list: Option<&Vec<Glob>>, text: &str) -> bool {
    list.is_none_or(|list| list.iter().any(|glob| glob.matches(text)))
}

fn unlisted(value: &str, list: &str) -> String {
    format!("{value} is not among the rule's {list}")
}
