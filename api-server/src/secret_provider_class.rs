//! The SecretProviderClass object of the Secrets Store CSI driver, with the fields that are read
//! here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube::api::ObjectMeta;
use kube::core::NamespaceResourceScope;
use serde::Deserialize;

/// A `SecretProviderClass` of `secrets-store.csi.x-k8s.io/v1`. Its `Debug` shows no parameters,
/// which may hold secret arguments.
#[derive(Clone, Deserialize)]
pub(crate) struct SecretProviderClass {
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) spec: ClassSpec,
}

#[derive(Clone, Default, Deserialize)]
pub(crate) struct ClassSpec {
    #[serde(default)]
    pub(crate) provider: String,
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, String>,
}

impl std::fmt::Debug for SecretProviderClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretProviderClass")
    }
}

impl kube::Resource for SecretProviderClass {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "SecretProviderClass".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "secrets-store.csi.x-k8s.io".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "secretproviderclasses".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
