//! The victim: a namespace whose pods mount from a healthy Vault, while somebody attacks.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use coffer_proto::v1alpha1::MountRequest;
use coffer_proto::v1alpha1::csi_driver_provider_client::CsiDriverProviderClient;
use coffer_tests::kubernetes::{LeaseNode, LeaseSetup, Tenant};
use coffer_tests::{JwtRole, LeaseTtls, Mounted, TestPod, TokenIssuer, call_as_web, read_answer};
use serde_json::json;
use tokio::time::timeout;
use tonic::transport::Channel;

/// When a mount counts as failed.
const TOO_LATE: Duration = Duration::from_secs(20);

/// Where pods log in whose tokens the test issues: nobody asks kube-apiserver then.
const JWT_MOUNT: &str = "jwt";

/// The size of the victim's secret: more than what any program would call small.
const SECRET_BYTES: usize = 40 << 10;

/// The victim's namespace, with its roles and secrets in Vault.
pub(crate) struct VictimNamespace {
    tenant: Tenant,
    issuer: TokenIssuer,
}

/// A victim on a node.
pub(crate) struct Victim {
    namespace: Arc<VictimNamespace>,
    client: CsiDriverProviderClient<Channel>,
    /// Two pods with leased credentials: one mounts before the attack for the first time, one in
    /// its midst.
    leased: [LeasedPod; 2],
}

/// A pod with a leased credential.
struct LeasedPod {
    mount: MountRequest,
    credential: OnceLock<Mounted>,
}

impl VictimNamespace {
    pub(crate) async fn new(servers: &LeaseSetup) -> Self {
        const LONG: LeaseTtls<'_> = LeaseTtls { ttl: "1h", max_ttl: "24h" };
        let tenant = servers.tenant("victim", LONG, "1h").await;
        let (name, issuer) = (tenant.namespace.name(), TokenIssuer::new());
        servers.bao.jwt_login(JWT_MOUNT, &issuer).await;
        servers.bao.role(JWT_MOUNT, &JwtRole::new("web", name)).await;
        servers.bao.kv_put(&format!("{name}/app"), json!({ "k": "v".repeat(SECRET_BYTES) })).await;
        Self { tenant, issuer }
    }

    /// Returns the first mount of a new pod.
    fn first_mount(&self) -> MountRequest {
        let name = self.tenant.namespace.name();
        let pod = TestPod::new(name, "web");
        let objects = format!("- {{objectName: f, secretPath: secret/data/{name}/app, secretKey: k}}");
        call_as_web(&self.issuer, &pod, &objects).param("vaultAuthMountPath", JWT_MOUNT).request()
    }

    async fn leased_pod(&self, node: &LeaseNode) -> LeasedPod {
        let pod = self.tenant.pod(node).await;
        LeasedPod { mount: self.tenant.call(&pod).request(), credential: OnceLock::new() }
    }
}

impl Victim {
    /// Mounts a pod with a leased credential.
    pub(crate) async fn settle(namespace: &Arc<VictimNamespace>, node: &LeaseNode) -> Self {
        let leased = [namespace.leased_pod(node).await, namespace.leased_pod(node).await];
        let victim = Self { namespace: Arc::clone(namespace), client: node.csi.client(), leased };
        victim.republish(0).await.expect("a credential before the attack");
        victim
    }

    /// Uses the agent that was started again on the node.
    pub(crate) fn move_to(&mut self, node: &LeaseNode) {
        self.client = node.csi.client();
    }

    /// Mounts. Of ten mounts, eight are those of new pods.
    ///
    /// # Errors
    /// What went wrong.
    pub(crate) async fn mount(self: Arc<Self>, number: usize) -> Result<(), String> {
        match number % 10 {
            4 => self.republish(0).await,
            9 => self.republish(1).await,
            _ => {
                let mounted = self.call(self.namespace.first_mount()).await?;
                assert_eq!(mounted.file("f").contents.len(), SECRET_BYTES);
                Ok(())
            }
        }
    }

    async fn republish(&self, pod: usize) -> Result<(), String> {
        let LeasedPod { mount, credential } = &self.leased[pod];
        let mounted = self.call(mount.clone()).await?;
        if credential.get_or_init(|| mounted.clone()) != &mounted {
            return Err("a pod got another credential".to_owned());
        }
        Ok(())
    }

    async fn call(&self, request: MountRequest) -> Result<Mounted, String> {
        let mut client = self.client.clone();
        let answer = timeout(TOO_LATE, client.mount(request)).await;
        let answer = answer.map_err(|_| format!("a mount was not answered in {TOO_LATE:?}"))?;
        let answer = answer.map_err(|status| format!("a mount failed: {status}"))?;
        Ok(read_answer(Ok(answer.into_inner())).expect("an answer without an error"))
    }
}
