//! The attacker: writes classes, runs pods and servers, all in one namespace.

use std::sync::Arc;
use std::time::Duration;

use coffer_proto::v1alpha1::MountResponse;
use coffer_proto::v1alpha1::csi_driver_provider_client::CsiDriverProviderClient;
use coffer_tests::kubernetes::{LeaseNode, Namespace};
use coffer_tests::{MountCall, RogueAct, RogueVault, TestPod, TokenIssuer, http_answer};
use futures_util::{StreamExt, stream};
use tokio::time::sleep;
use tonic::Status;
use tonic::transport::Channel;

/// The pause after a mount: kubelet waits as long after a mount that failed, and then longer.
const PAUSE: Duration = Duration::from_millis(500);

/// What the attacker has on a node.
pub(crate) struct Mallory {
    client: CsiDriverProviderClient<Channel>,
    issuer: TokenIssuer,
    namespace: Namespace,
    node: String,
    /// Host and port of the agent's health port, which every pod may reach.
    pub(crate) health: String,
}

impl Mallory {
    pub(crate) fn new(node: &LeaseNode, namespace: &Namespace) -> Self {
        Self {
            client: node.csi.client(),
            issuer: TokenIssuer::new(),
            namespace: namespace.clone(),
            node: node.name().to_owned(),
            health: node.csi.health_address().to_owned(),
        }
    }

    /// Returns the same attacker beside the agent that was started again.
    pub(crate) fn after_restart(&self, node: &LeaseNode) -> Self {
        Self::new(node, &self.namespace)
    }

    /// Returns a new pod that kube-apiserver does not know.
    pub(crate) fn pod(&self) -> TestPod {
        TestPod::new(self.namespace.name(), "web")
    }

    /// Creates a pod on the node.
    pub(crate) async fn real_pod(&self) -> TestPod {
        self.namespace.pod_on(&self.node, "web", "class").await
    }

    /// Deletes a pod.
    pub(crate) async fn delete(&self, pod: &TestPod) {
        self.namespace.delete_pod(pod).await;
    }

    /// Returns a mount of a new pod, from the attacker's server.
    pub(crate) fn call(&self, vault: &RogueVault, objects: &str) -> MountCall {
        self.call_of(&self.pod(), vault, objects)
    }

    /// Returns a mount of a pod, from the attacker's server.
    pub(crate) fn call_of(&self, pod: &TestPod, vault: &RogueVault, objects: &str) -> MountCall {
        MountCall::new(pod)
            .token("vault", &self.issuer.token(pod))
            .param("audience", "vault")
            .param("roleName", "web")
            .param("vaultAddress", vault.address())
            .objects(objects)
    }

    /// Mounts, over the driver's own connection.
    pub(crate) async fn mount(&self, call: &MountCall) -> Result<MountResponse, Status> {
        self.client.clone().mount(call.request()).await.map(tonic::Response::into_inner)
    }

    /// Makes these mounts, so many at once.
    pub(crate) async fn mount_all(&self, at_once: usize, calls: impl IntoIterator<Item = MountCall>) {
        stream::iter(calls)
            .for_each_concurrent(at_once, async |call| {
                let _ = self.mount(&call).await;
                sleep(PAUSE).await;
            })
            .await;
    }

    /// Makes these mounts without end, so many at once.
    pub(crate) async fn flood(&self, at_once: usize, call: impl Fn(usize) -> MountCall) {
        self.mount_all(at_once, (0..).map(call)).await;
    }
}

/// Starts an attacker's server, which lets everybody log in and performs these acts at every other
/// request.
pub(crate) async fn vault(acts: Vec<RogueAct>) -> RogueVault {
    vault_by(move |_, _| acts.clone()).await
}

/// Starts an attacker's server, which lets everybody log in, and decides on the acts at another
/// request by its first line and number.
pub(crate) async fn vault_by(
    script: impl Fn(&str, usize) -> Vec<RogueAct> + Send + Sync + 'static,
) -> RogueVault {
    RogueVault::start(move |line, number| {
        if line.contains("/login ") {
            vec![RogueAct::Write(login(&format!("hvs.rogue-{number}"), "accessor", 3600))]
        } else {
            script(line, number)
        }
    })
    .await
}

/// Returns the answer to a login.
pub(crate) fn login(token: &str, accessor: &str, seconds: u64) -> Arc<[u8]> {
    json(
        200,
        format!(
            r#"{{"auth":{{"client_token":"{token}","accessor":"{accessor}","policies":["web"],
            "lease_duration":{seconds},"renewable":true,"token_type":"service"}}}}"#
        ),
    )
}

/// Returns an answer in JSON.
pub(crate) fn json(status: u16, body: impl AsRef<[u8]>) -> Arc<[u8]> {
    http_answer(status, "Content-Type: application/json\r\n", body)
}

/// Returns a stored secret with this `data`.
pub(crate) fn secret(data: &str) -> Arc<[u8]> {
    json(200, format!(r#"{{"request_id":"r","lease_id":"","lease_duration":0,"data":{data}}}"#))
}

/// Returns an issued secret with this lease and `data`.
pub(crate) fn leased(id: &str, seconds: u64, data: &str) -> Arc<[u8]> {
    let lease = format!(r#""lease_id":"{id}","lease_duration":{seconds},"renewable":true"#);
    json(200, format!(r#"{{"request_id":"r",{lease},"data":{data}}}"#))
}

/// Returns a class's `objects`: that many files, each from a path and a key by its number. An empty
/// key asks for the whole response.
pub(crate) fn objects(number: usize, object: impl Fn(usize) -> (String, String)) -> String {
    let line = |i| {
        let (path, key) = object(i);
        let key = if key.is_empty() { String::new() } else { format!(", secretKey: {key}") };
        format!("- {{objectName: f{i}, secretPath: {path}{key}}}\n")
    };
    (0..number).map(line).collect()
}

/// Returns that many objects with key `k` of as many paths.
pub(crate) fn paths(number: usize) -> String {
    objects(number, |i| (format!("engine/{i}"), "k".to_owned()))
}
