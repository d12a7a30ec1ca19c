//! Where most tests start: a Vault, and a provider that uses it.

use crate::fake_vault::FakeVault;
use crate::mount::{MountCall, MountRefusal, Mounted};
use crate::openbao::OpenBao;
use crate::openbao_admin::JwtRole;
use crate::pod::TestPod;
use crate::provider::{Csi, CsiOptions};
use crate::token::TokenIssuer;

/// An OpenBao and a provider that uses it. The login at `auth/kubernetes` trusts the issuer. Role
/// `web` has all rights under `secret/`, and under `kv/`, `pki/` and `transit/` where a test mounts
/// them.
#[derive(Debug)]
pub struct OpenBaoSetup {
    /// The Vault.
    pub bao: OpenBao,
    /// The issuer of the pods' tokens.
    pub issuer: TokenIssuer,
    /// The provider.
    pub csi: Csi,
}

/// The objects of a class that reads key `k` of `kv/app` into file `f`.
pub const READ_APP: &str = "- {objectName: f, secretPath: kv/app, secretKey: k}";

const WEB_POLICY: &str = r#"
path "secret/*" { capabilities = ["create", "read", "update", "list"] }
path "kv/*" { capabilities = ["create", "read", "update", "list"] }
path "pki/*" { capabilities = ["create", "read", "update", "list"] }
path "transit/*" { capabilities = ["create", "read", "update", "list"] }
"#;

impl OpenBaoSetup {
    /// Starts OpenBao and the provider.
    pub async fn start() -> Self {
        Self::start_with(Csi::options()).await
    }

    /// Starts OpenBao, and the provider with further options.
    pub async fn start_with(options: CsiOptions) -> Self {
        let (bao, issuer) = Self::vault().await;
        let csi = options.flag(format!("-vault-addr={}", bao.address())).start().await;
        Self { bao, issuer, csi }
    }

    /// Starts OpenBao alone, with the login and the role `web`.
    pub async fn vault() -> (OpenBao, TokenIssuer) {
        let (bao, issuer) = (OpenBao::start().await, TokenIssuer::new());
        Self::prepare(&bao, &issuer).await;
        (bao, issuer)
    }

    /// Adds the login and the role `web` to an OpenBao.
    pub async fn prepare(bao: &OpenBao, issuer: &TokenIssuer) {
        bao.jwt_login("kubernetes", issuer).await;
        bao.policy("web", WEB_POLICY).await;
        bao.role("kubernetes", &JwtRole::new("web", "web")).await;
    }

    /// Returns a call for a pod as role `web`, with a valid token.
    pub fn call(&self, pod: &TestPod, objects: &str) -> MountCall {
        call_as_web(&self.issuer, pod, objects)
    }

    /// Mounts these objects for a new pod.
    ///
    /// # Errors
    /// The provider's error.
    pub async fn mount(&self, objects: &str) -> Result<Mounted, MountRefusal> {
        self.csi.mount(&self.call(&TestPod::new("shop", "web"), objects)).await
    }
}

/// A fake Vault and a provider that uses it.
#[derive(Debug)]
pub struct FakeVaultSetup {
    /// The fake Vault.
    pub vault: FakeVault,
    /// The issuer of the pods' tokens; the fake Vault accepts any token.
    pub issuer: TokenIssuer,
    /// The provider.
    pub csi: Csi,
}

impl FakeVaultSetup {
    /// Starts the fake Vault and the provider.
    pub async fn start() -> Self {
        Self::start_with(Csi::options()).await
    }

    /// Starts the fake Vault, and the provider with further options.
    pub async fn start_with(options: CsiOptions) -> Self {
        let vault = FakeVault::start().await;
        let csi = options.flag(format!("-vault-addr={}", vault.address())).start().await;
        Self { vault, issuer: TokenIssuer::new(), csi }
    }

    /// Returns a call for a pod as role `web`, with a valid token.
    pub fn call(&self, pod: &TestPod, objects: &str) -> MountCall {
        call_as_web(&self.issuer, pod, objects)
    }

    /// Mounts these objects for a new pod.
    ///
    /// # Errors
    /// The provider's error.
    pub async fn mount(&self, objects: &str) -> Result<Mounted, MountRefusal> {
        self.csi.mount(&self.call(&TestPod::new("shop", "web"), objects)).await
    }
}

/// Returns a call for a pod as role `web`, with a token of that issuer.
pub fn call_as_web(issuer: &TokenIssuer, pod: &TestPod, objects: &str) -> MountCall {
    let token = issuer.token(pod);
    MountCall::new(pod).token("vault", &token).param("roleName", "web").objects(objects)
}
