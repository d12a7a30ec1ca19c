//! Requests that go on during a fault run, so that there is something to see besides the faults.

use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::kubernetes::aggregated::{API, ApiSetup};
use crate::kubernetes::{LeaseNode, Namespace};
use crate::mount::MountCall;

/// Wait between two requests of a kind.
const PAUSE: Duration = Duration::from_millis(250);

/// The classes that are read through kube-apiserver: one that can be read, and one that cannot.
pub(super) const CLASSES: [&str; 2] = ["db", "missing"];

/// Tasks that end with this value.
pub(super) struct BackgroundLoad {
    _tasks: JoinSet<()>,
}

impl BackgroundLoad {
    /// Mounts a volume again and again, and reads [`CLASSES`] through kube-apiserver.
    pub(super) fn start(node: &LeaseNode, call: &MountCall, api: &ApiSetup, namespace: &Namespace) -> Self {
        let mut tasks = JoinSet::new();
        let (client, request) = (node.csi.client(), call.request());
        tasks.spawn(async move {
            loop {
                // Most fail once Vault is sealed.
                drop(client.clone().mount(request.clone()).await);
                sleep(PAUSE).await;
            }
        });
        let (client, admin) = (api.through(), api.admin());
        let secret = |class: &str| format!("{API}/namespaces/{}/secrets/{class}", namespace.name());
        let secrets = CLASSES.map(secret);
        tasks.spawn(async move {
            for secret in secrets.iter().cycle() {
                drop(client.try_get(secret, &[("Authorization", &admin)]).await);
                sleep(PAUSE).await;
            }
        });
        Self { _tasks: tasks }
    }
}

/// Makes a call again and again, as kubelet does for a pod whose volume is not mounted.
pub(super) struct RepeatedMount(JoinHandle<()>);

impl RepeatedMount {
    pub(super) fn start(node: &LeaseNode, call: &MountCall) -> Self {
        let (mut client, request) = (node.csi.client(), call.request());
        Self(tokio::spawn(async move {
            loop {
                drop(client.mount(request.clone()).await);
                sleep(PAUSE).await;
            }
        }))
    }
}

impl Drop for RepeatedMount {
    fn drop(&mut self) {
        self.0.abort();
    }
}
