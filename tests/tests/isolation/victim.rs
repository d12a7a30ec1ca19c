//! The victim: a namespace whose pods mount from a healthy Vault, while somebody attacks.

use std::sync::Arc;
use std::time::Duration;

use coffer_proto::v1alpha1::MountRequest;
use coffer_proto::v1alpha1::csi_driver_provider_client::CsiDriverProviderClient;
use coffer_tests::kubernetes::{LeaseNode, LeaseSetup, Tenant};
use coffer_tests::{JwtRole, LeaseTtls, Mounted, TestPod, TokenIssuer, call_as_web, read_answer};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};
use tonic::transport::Channel;

use crate::report::Visits;

/// How often a pod of the victim mounts.
const EVERY: Duration = Duration::from_millis(200);

/// When a mount counts as failed.
const TOO_LATE: Duration = Duration::from_secs(20);

/// Where pods log in whose tokens the test issues: nobody asks kube-apiserver then.
const JWT_MOUNT: &str = "jwt";

const VALUE: &str = "the victim's value";

/// The victim's namespace, with its roles and secrets in Vault.
pub(crate) struct VictimNamespace {
    tenant: Tenant,
    issuer: TokenIssuer,
}

/// A victim with a pod that holds a leased credential.
pub(crate) struct Victim {
    namespace: Arc<VictimNamespace>,
    client: CsiDriverProviderClient<Channel>,
    /// The pod's mount, made again and again, and its first answer.
    republish: MountRequest,
    credential: Mounted,
}

impl VictimNamespace {
    pub(crate) async fn new(servers: &LeaseSetup) -> Self {
        const LONG: LeaseTtls<'_> = LeaseTtls { ttl: "1h", max_ttl: "24h" };
        let tenant = servers.tenant("victim", LONG, "1h").await;
        let (name, issuer) = (tenant.namespace.name(), TokenIssuer::new());
        servers.bao.jwt_login(JWT_MOUNT, &issuer).await;
        servers.bao.role(JWT_MOUNT, &JwtRole::new("web", name)).await;
        servers.bao.kv_put(&format!("{name}/app"), json!({ "k": VALUE })).await;
        Self { tenant, issuer }
    }

    /// Returns the first mount of a new pod.
    fn first_mount(&self) -> MountRequest {
        let name = self.tenant.namespace.name();
        let pod = TestPod::new(name, "web");
        let objects = format!("- {{objectName: f, secretPath: secret/data/{name}/app, secretKey: k}}");
        call_as_web(&self.issuer, &pod, &objects).param("vaultAuthMountPath", JWT_MOUNT).request()
    }
}

impl Victim {
    /// Mounts a pod with a leased credential.
    pub(crate) async fn settle(namespace: &Arc<VictimNamespace>, node: &LeaseNode) -> Self {
        let tenant = &namespace.tenant;
        let call = tenant.call(&tenant.pod(node).await);
        let credential = node.mount(&call).await;
        let (namespace, client) = (Arc::clone(namespace), node.csi.client());
        Self { namespace, client, republish: call.request(), credential }
    }

    /// Mounts until `end` is true, then waits for what has begun. Every fifth mount is that of the
    /// pod with the credential.
    pub(crate) async fn mount_until(self, mut end: watch::Receiver<bool>) -> Visits {
        let victim = Arc::new(self);
        let (mut mounts, mut ticks) = (JoinSet::new(), interval(EVERY));
        let mut number = 0;
        while !*end.borrow() {
            tokio::select! {
                _ = ticks.tick() => {
                    number += 1;
                    mounts.spawn(Arc::clone(&victim).mount(number % 5 == 0));
                }
                _ = end.changed() => {}
            }
        }
        mounts.join_all().await.into_iter().collect()
    }

    /// Returns how long a mount took, or what went wrong.
    async fn mount(self: Arc<Self>, republish: bool) -> Result<Duration, String> {
        let request = if republish { self.republish.clone() } else { self.namespace.first_mount() };
        let (mut client, begun) = (self.client.clone(), Instant::now());
        let answer = timeout(TOO_LATE, client.mount(request)).await;
        let took = begun.elapsed();
        let answer = answer.map_err(|_| format!("a mount was not answered in {TOO_LATE:?}"))?;
        let mounted = match answer {
            Ok(answer) => read_answer(Ok(answer.into_inner())).expect("an answer without an error"),
            Err(status) => return Err(format!("a mount failed: {status}")),
        };
        let good = if republish { mounted == self.credential } else { mounted.text("f") == VALUE };
        if good { Ok(took) } else { Err("the credential is another one".to_owned()) }
    }
}
