//! The aggregated API: coffer-api-server behind a real kube-apiserver.

mod direct;
mod raw_connection;
mod replica;
mod tenant;

use std::ffi::OsStr;

use serde_json::json;
use tempfile::TempDir;

use super::cluster::{Cluster, ClusterOptions};
use super::kubectl::KubectlOutput;
use crate::binaries::workspace;
use crate::limits::ProcessLimits;
use crate::openbao::OpenBao;
use crate::provider::HMAC_KEY;
use crate::suite::Servers;
use crate::wait::until_true;

pub use direct::DirectClient;
pub use raw_connection::{HttpVersion, RawConnection, RawDialer};
pub use replica::Replica;

/// The namespace of the API server in the shipped manifests.
pub const API_NAMESPACE: &str = "coffer-api";

/// The path of the API group and version.
pub const API: &str = "/apis/custom.secrets.k8s.io/v1alpha1";

/// The annotation that lets every reader of a class read it as service account `app`.
pub const READ_AS_APP: &str = "custom.secrets.k8s.io/service-account=app";

/// The value at key `password` of every namespace's secret `db`. It must not appear in a list, log
/// or error.
pub const PASSWORD: &str = "correct-horse-battery";

/// The server name for which kube-apiserver verifies the API server's certificate.
pub const HOST: &str = "coffer-api-server.coffer-api.svc";

/// A cluster, a Vault that trusts it, and coffer-api-server, installed by the shipped manifests.
pub struct ApiSetup {
    /// The API server that kube-apiserver calls.
    pub server: Replica,
    /// The Vault.
    pub bao: OpenBao,
    /// The cluster.
    pub cluster: Cluster,
    dir: TempDir,
}

impl ApiSetup {
    /// Starts all servers, and waits until the API is available.
    pub async fn start(options: ClusterOptions) -> Self {
        let (cluster, bao) = tokio::join!(Cluster::start(options), OpenBao::start());
        bao.kubernetes_login("kubernetes", &cluster).await;
        Self::between(cluster, bao).await
    }

    /// Starts the API server for a cluster and a Vault with a login for that cluster, and waits
    /// until the API is available.
    ///
    /// # Panics
    /// If the API does not become available.
    pub async fn between(cluster: Cluster, bao: OpenBao) -> Self {
        let kubectl = cluster.kubectl();
        kubectl.run(["create", "namespace", API_NAMESPACE]).await;
        install(&cluster, "deploy/api-server-rbac.yaml").await;

        let dir = tempfile::tempdir().expect("a temporary directory");
        let kubeconfig = cluster.account_kubeconfig(API_NAMESPACE, "coffer-api-server").await;
        kubeconfig.write(&dir.path().join("kubeconfig"));
        std::fs::write(dir.path().join("hmac-key"), HMAC_KEY).expect("write the HMAC key");
        let key = format!("--hmac-key-file={}", dir.path().join("hmac-key").display());
        let server = Replica::start(dir.path(), bao.address(), &[&key]);
        let setup = Self { server, dir, bao, cluster };
        setup.register().await;
        setup.available().await;
        setup
    }

    /// Starts a further API server with the same rights, which only the test calls. The given flags
    /// take precedence over Vault's address.
    pub fn replica(&self, flags: &[&str]) -> Replica {
        Replica::start(self.dir.path(), self.bao.address(), flags)
    }

    /// Runs the administrator's kubectl, which may fail.
    pub async fn kubectl(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> KubectlOutput {
        self.cluster.kubectl().try_run(arguments).await
    }

    /// Starts the API server again, on the same port.
    pub async fn start_again(&self) {
        self.server.start_again();
        self.available().await;
    }

    /// Starts the API server again within limits, on the same port.
    pub async fn start_within(&self, limits: &ProcessLimits) {
        self.server.kill();
        self.server.start_within(limits);
        self.available().await;
    }

    /// Waits until kube-apiserver reports the API as available.
    pub async fn available(&self) {
        until_true("the APIService to be available", async || {
            assert!(
                self.server.is_running(),
                "coffer-api-server ended while starting: {}",
                self.server.log()
            );
            self.cluster.kubectl().api_is_available().await
                && self.kubectl(["get", "--raw", &format!("{API}/secrets")]).await.status.success()
        })
        .await;
    }

    /// Applies the shipped Service and APIService, and points them at this process: there is no pod
    /// network here.
    async fn register(&self) {
        install(&self.cluster, "deploy/api-server.yaml").await;
        let service = json!({ "spec": {
            "type": "ExternalName", "externalName": "localhost",
            "clusterIP": null, "clusterIPs": null, "selector": null, "ports": null,
        }});
        let api_service = json!({ "spec": { "service": { "port": self.server.port() } } });
        for (object, patch) in [
            ("service/coffer-api-server", service),
            ("apiservice/v1alpha1.custom.secrets.k8s.io", api_service),
        ] {
            let patch = format!("--patch={patch}");
            self.cluster
                .kubectl()
                .run(["patch", object, "--namespace", API_NAMESPACE, "--type=merge", &patch])
                .await;
        }
    }
}

impl Servers for ApiSetup {
    fn show_logs(&self) {
        self.cluster.show_logs();
        self.bao.process().show_log();
        self.server.show_log();
    }
}

/// Applies a shipped manifest as it is, on the server's side: unknown fields are refused.
async fn install(cluster: &Cluster, manifest: &str) {
    let file = workspace().join(manifest);
    let file = file.to_str().expect("a path of text");
    let apply = ["apply", "--server-side", "--validate=strict", "--filename", file];
    cluster.kubectl().run(apply).await;
}
