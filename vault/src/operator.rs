//! Which servers are the operator's, and what only they get.

use crate::{Address, Target};

/// The addresses that the operator trusts as much as the configured one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedAddresses {
    /// Every address, as with the incumbent.
    All,
    /// These addresses.
    Listed(Vec<Address>),
}

/// The servers of the operator. All other servers are those of a class's author, who may be a
/// tenant: they get nothing of the agent's own, and nothing that is valid elsewhere.
#[derive(Debug, Clone)]
pub struct OperatorServers {
    /// The configured address.
    pub address: Address,
    /// Further addresses.
    pub trusted: TrustedAddresses,
    /// The configured TLS server name.
    pub server_name: Option<String>,
}

impl OperatorServers {
    /// Returns whether the server that is reached by this address and TLS server name is the
    /// operator's.
    ///
    /// Another name than the operator's may lead to another server: a gateway at the address routes
    /// by it.
    #[must_use]
    pub fn own(&self, address: &Address, server_name: Option<&str>) -> bool {
        let is_usual_name = server_name.is_none_or(|name| {
            let is = |other: &str| other.eq_ignore_ascii_case(name);
            self.server_name.as_deref().is_some_and(is) || address.host().is_some_and(is)
        });
        match &self.trusted {
            TrustedAddresses::All => true,
            TrustedAddresses::Listed(listed) => {
                (self.address == *address || listed.contains(address)) && is_usual_name
            }
        }
    }

    /// Returns whether the server of a target is the operator's.
    pub(crate) fn own_target(&self, target: &Target) -> bool {
        self.own(&target.address, target.tls.server_name.as_deref())
    }
}

impl Target {
    /// Returns whether connections show a client certificate.
    #[must_use]
    pub fn uses_client_certificate(&self) -> bool {
        self.tls.client.is_some() && matches!(&self.address, Address::Url(url) if url.scheme() == "https")
    }
}

#[cfg(test)]
mod tests {
    use super::{OperatorServers, TrustedAddresses};
    use crate::Address;

    fn address(text: &str) -> Address {
        Address::parse(text).expect(text)
    }

    fn servers(trusted: TrustedAddresses) -> OperatorServers {
        let server_name = Some("vault.internal".to_owned());
        OperatorServers { address: address("https://vault:8200"), trusted, server_name }
    }

    #[test]
    fn the_configured_and_the_listed_addresses_are_the_operators() {
        let servers = servers(TrustedAddresses::Listed(vec![address("unix:///run/a.sock")]));
        for (text, own) in [
            ("https://VAULT:8200/", true),
            ("unix:///run/a.sock", true),
            ("http://vault:8200", false),
            ("https://vault:8200/x", false),
            ("unix:///run/b.sock", false),
        ] {
            assert_eq!(servers.own(&address(text), None), own, "{text}");
        }
    }

    #[test]
    fn all_addresses_may_be_trusted() {
        assert!(servers(TrustedAddresses::All).own(&address("https://evil"), Some("evil")));
    }

    #[test]
    fn another_server_name_may_be_another_server() {
        let servers = servers(TrustedAddresses::Listed(Vec::new()));
        for (name, own) in
            [(Some("evil"), false), (Some("Vault.internal"), true), (Some("vault"), true), (None, true)]
        {
            assert_eq!(servers.own(&address("https://vault:8200"), name), own, "{name:?}");
        }
    }
}
