//! The names of the API: group, version, resource, kind.

/// The API group.
pub(crate) const GROUP: &str = "custom.secrets.k8s.io";

/// Its one version.
pub(crate) const VERSION: &str = "v1alpha1";

/// `GROUP/VERSION`, as objects carry it.
pub(crate) const GROUP_VERSION: &str = "custom.secrets.k8s.io/v1alpha1";

/// The resource, plural.
pub(crate) const RESOURCE: &str = "secrets";

/// Its singular name: another one than core's `secret`, which it would shadow.
pub(crate) const SINGULAR: &str = "vaultsecret";

/// The kind of its objects.
pub(crate) const KIND: &str = "VaultSecret";

/// The kind of a list of them.
pub(crate) const LIST_KIND: &str = "VaultSecretList";

/// Annotation of a SecretProviderClass: the service account that reads for those who are none of the namespace.
pub(crate) const SERVICE_ACCOUNT: &str = "custom.secrets.k8s.io/service-account";

/// Annotation of a SecretProviderClass: whether `get` reads objects that make Vault issue something.
pub(crate) const ALLOW_ISSUING: &str = "custom.secrets.k8s.io/allow-issuing";

/// The ClusterRole that a namespace binds to let tokens of its service accounts be minted.
pub(crate) const MINTER_ROLE: &str = "coffer-token-minter";
