//! The names of the API: group, version, resource, kind, annotations.

/// The API group.
pub(crate) const GROUP: &str = "custom.secrets.k8s.io";

/// The only version of the group.
pub(crate) const VERSION: &str = "v1alpha1";

/// `GROUP/VERSION`, as in an object's `apiVersion`.
pub(crate) const GROUP_VERSION: &str = "custom.secrets.k8s.io/v1alpha1";

/// Plural name of the resource.
pub(crate) const RESOURCE: &str = "secrets";

/// Singular name of the resource. `secret` would shadow the core resource.
pub(crate) const SINGULAR: &str = "vaultsecret";

/// Kind of the objects.
pub(crate) const KIND: &str = "VaultSecret";

/// Kind of a list of objects.
pub(crate) const LIST_KIND: &str = "VaultSecretList";

/// Annotation of a SecretProviderClass: the service account that reads for all users who are not
/// service accounts of the namespace.
pub(crate) const SERVICE_ACCOUNT: &str = "custom.secrets.k8s.io/service-account";

/// Annotation of a SecretProviderClass: whether `get` reads objects that make Vault issue
/// something.
pub(crate) const ALLOW_ISSUING: &str = "custom.secrets.k8s.io/allow-issuing";

/// The ClusterRole that a namespace binds so that tokens of its service accounts can be minted.
pub(crate) const MINTER_ROLE: &str = "coffer-token-minter";
