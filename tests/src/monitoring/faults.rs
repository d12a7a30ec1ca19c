//! The faults of a fault run.

/// A fault, each of which one alert tells of. In the order of [`Fault::ALL`] none makes the alert of
/// a later one fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Vault does not let a running pod's lease be renewed.
    CredentialNotRenewed,
    /// Vault does not let the token of a deleted pod be revoked.
    RevocationRefused,
    /// The policy's file has a mistake.
    PolicyBroken,
    /// A new pod's secret does not exist.
    SecretMissing,
    /// The secret of a running pod was deleted.
    SecretDeleted,
    /// A pod's role does not exist.
    RoleMissing,
    /// A pod's secrets are larger than what its namespace may take.
    SecretsTooLarge,
    /// Vault is sealed.
    VaultSealed,
    /// coffer-api-server ended.
    ApiServerEnded,
    /// coffer-csi ended on a node.
    AgentEnded,
}

impl Fault {
    /// All faults, in the order in which a run makes them.
    pub const ALL: [Self; 10] = [
        Self::CredentialNotRenewed,
        Self::RevocationRefused,
        Self::PolicyBroken,
        Self::SecretMissing,
        Self::SecretDeleted,
        Self::RoleMissing,
        Self::SecretsTooLarge,
        Self::VaultSealed,
        Self::ApiServerEnded,
        Self::AgentEnded,
    ];

    /// Returns the name of the alert that tells of it.
    pub fn alert(self) -> &'static str {
        match self {
            Self::CredentialNotRenewed => "CofferCredentialNotRenewed",
            Self::RevocationRefused => "CofferRevocationsGivenUp",
            Self::PolicyBroken => "CofferPolicyStale",
            Self::SecretMissing => "CofferMountsFailing",
            Self::SecretDeleted => "CofferVolumeStale",
            Self::RoleMissing => "CofferLoginsFailing",
            Self::SecretsTooLarge => "CofferOverLimit",
            Self::VaultSealed => "CofferVaultUnavailable",
            Self::ApiServerEnded => "CofferApiServerUnavailable",
            Self::AgentEnded => "CofferAgentDown",
        }
    }

    /// Returns the class that its alert is about; none for alerts about a whole program.
    pub fn class(self) -> Option<&'static str> {
        match self {
            Self::CredentialNotRenewed => Some("database"),
            Self::SecretMissing => Some("missing"),
            Self::SecretDeleted => Some("deleted"),
            Self::RoleMissing => Some("no-role"),
            _ => None,
        }
    }
}
