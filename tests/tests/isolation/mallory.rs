//! The attacker: writes classes, runs pods and servers, all in one namespace.

use std::sync::Arc;

use coffer_proto::v1alpha1::MountResponse;
use coffer_proto::v1alpha1::csi_driver_provider_client::CsiDriverProviderClient;
use coffer_tests::kubernetes::LeaseNode;
use coffer_tests::{MountCall, RogueAct, RogueVault, TestPod, TokenIssuer, http_answer};
use futures_util::{StreamExt, stream};
use tonic::Status;
use tonic::transport::Channel;

/// What the attacker has on a node.
pub(crate) struct Mallory {
    client: CsiDriverProviderClient<Channel>,
    issuer: TokenIssuer,
    /// Host and port of the agent's health port, which every pod may reach.
    pub(crate) health: String,
}

impl Mallory {
    pub(crate) fn new(node: &LeaseNode) -> Self {
        let health = node.csi.health_address().to_owned();
        Self { client: node.csi.client(), issuer: TokenIssuer::new(), health }
    }

    /// Returns a new pod.
    pub(crate) fn pod() -> TestPod {
        TestPod::new("mallory", "web")
    }

    /// Returns a mount of a new pod, from the attacker's server.
    pub(crate) fn call(&self, vault: &RogueVault, objects: &str) -> MountCall {
        self.call_of(&Self::pod(), vault, objects)
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

    /// Makes these mounts again and again, so many at once, without end.
    pub(crate) async fn flood(&self, at_once: usize, call: impl Fn(usize) -> MountCall) {
        let numbers = stream::iter(0_usize..);
        numbers
            .for_each_concurrent(at_once, async |number| {
                let _ = self.mount(&call(number)).await;
            })
            .await;
    }
}

/// Starts an attacker's server, which lets everybody log in and performs these acts at every other
/// request.
pub(crate) async fn vault(acts: Vec<RogueAct>) -> RogueVault {
    RogueVault::start(move |line, number| {
        if line.contains("/login ") { vec![RogueAct::Write(login(number))] } else { acts.clone() }
    })
    .await
}

/// Returns the answer to a login.
pub(crate) fn login(number: usize) -> Arc<[u8]> {
    let body = format!(
        r#"{{"auth":{{"client_token":"hvs.rogue-{number}","accessor":"a{number}","policies":["web"],
        "lease_duration":3600,"renewable":true,"token_type":"service"}}}}"#
    );
    json(200, body)
}

/// Returns an answer in JSON.
pub(crate) fn json(status: u16, body: impl AsRef<[u8]>) -> Arc<[u8]> {
    http_answer(status, "Content-Type: application/json\r\n", body)
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
