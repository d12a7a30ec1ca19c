//! Where most tests start: a Vault, and a provider that uses it.

use crate::fault::FaultServer;
use crate::mount::{MountCall, Mounted, Refusal};
use crate::openbao::OpenBao;
use crate::openbao_admin::Role;
use crate::pod::Pod;
use crate::provider::{Csi, CsiOptions};
use crate::token::Issuer;

/// An OpenBao whose login at `auth/kubernetes` trusts the issuer, with a role `web` that may do everything
/// under `secret/`, and under `kv/`, `pki/` and `transit/` where a test mounts them, and a provider pointed at it.
#[derive(Debug)]
pub struct Site {
    /// The Vault.
    pub bao: OpenBao,
    /// What signs the pods' tokens.
    pub issuer: Issuer,
    /// The provider.
    pub csi: Csi,
}

const WEB_POLICY: &str = r#"
path "secret/*" { capabilities = ["create", "read", "update", "list"] }
path "kv/*" { capabilities = ["create", "read", "update", "list"] }
path "pki/*" { capabilities = ["create", "read", "update", "list"] }
path "transit/*" { capabilities = ["create", "read", "update", "list"] }
"#;

impl Site {
    /// Starts both.
    pub async fn start() -> Self {
        Self::start_with(Csi::options()).await
    }

    /// Starts both, the provider with further options.
    pub async fn start_with(options: CsiOptions) -> Self {
        let (bao, issuer) = Self::vault().await;
        let csi = options.flag(format!("-vault-addr={}", bao.address())).start().await;
        Self { bao, issuer, csi }
    }

    /// The Vault alone, with the login and the role `web`.
    pub async fn vault() -> (OpenBao, Issuer) {
        let (bao, issuer) = (OpenBao::start().await, Issuer::new());
        Self::prepare(&bao, &issuer).await;
        (bao, issuer)
    }

    /// Gives any OpenBao the login and the role `web`.
    pub async fn prepare(bao: &OpenBao, issuer: &Issuer) {
        bao.jwt_login("kubernetes", issuer).await;
        bao.policy("web", WEB_POLICY).await;
        bao.role("kubernetes", &Role::new("web", "web")).await;
    }

    /// A call for that pod as role `web`, with a token that Vault accepts.
    pub fn call(&self, pod: &Pod, objects: &str) -> MountCall {
        call_as_web(&self.issuer, pod, objects)
    }

    /// Mounts these objects for a new pod.
    ///
    /// # Errors
    /// The provider's refusal.
    pub async fn mount(&self, objects: &str) -> Result<Mounted, Refusal> {
        self.csi.mount(&self.call(&Pod::new("shop", "web"), objects)).await
    }
}

/// A fault server and a provider pointed at it.
#[derive(Debug)]
pub struct FaultSite {
    /// The Vault that misbehaves.
    pub vault: FaultServer,
    /// What signs the pods' tokens; this Vault believes anything.
    pub issuer: Issuer,
    /// The provider.
    pub csi: Csi,
}

impl FaultSite {
    /// Starts both.
    pub async fn start() -> Self {
        Self::start_with(Csi::options()).await
    }

    /// Starts both, the provider with further options.
    pub async fn start_with(options: CsiOptions) -> Self {
        let vault = FaultServer::start().await;
        let csi = options.flag(format!("-vault-addr={}", vault.address())).start().await;
        Self { vault, issuer: Issuer::new(), csi }
    }

    /// A call for that pod as role `web`, with a token that Vault accepts.
    pub fn call(&self, pod: &Pod, objects: &str) -> MountCall {
        call_as_web(&self.issuer, pod, objects)
    }

    /// Mounts these objects for a new pod.
    ///
    /// # Errors
    /// The provider's refusal.
    pub async fn mount(&self, objects: &str) -> Result<Mounted, Refusal> {
        self.csi.mount(&self.call(&Pod::new("shop", "web"), objects)).await
    }
}

/// A call for that pod as role `web`, with a token of that issuer.
pub fn call_as_web(issuer: &Issuer, pod: &Pod, objects: &str) -> MountCall {
    let token = issuer.token(pod);
    MountCall::new(pod).token("vault", &token).param("roleName", "web").objects(objects)
}
