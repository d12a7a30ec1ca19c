//! kube-controller-manager: creates pods of Deployments, and deletes what belonged to deleted
//! objects.

use std::process::Command;

use tempfile::TempDir;

use super::kubeconfig::Kubeconfig;
use super::programs::ServerProgram;
use crate::ports::free_port;
use crate::process::Process;
use crate::wait::until;

/// The controllers that work in a cluster without real nodes.
const CONTROLLERS: &str = "--controllers=serviceaccount-controller,root-ca-certificate-publisher-controller,\
namespace-controller,garbage-collector-controller,deployment-controller,replicaset-controller,\
daemonset-controller,clusterrole-aggregation-controller";

/// A running kube-controller-manager.
#[derive(Debug)]
pub struct ControllerManager {
    process: Process,
    _dir: TempDir,
}

impl ControllerManager {
    /// Starts a controller manager as the administrator of a cluster.
    ///
    /// # Panics
    /// If kube-controller-manager does not become ready.
    pub async fn start(admin: &Kubeconfig) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| dir.path().join(name);
        admin.write(&path("kubeconfig"));
        std::fs::write(path("ca.crt"), &admin.authority).expect("write the authority");
        let port = free_port();
        let mut command = Command::new(ServerProgram::ControllerManager.path());
        command
            .env_clear()
            .args(["--leader-elect=false", "--use-service-account-credentials", CONTROLLERS])
            .args(["--bind-address", "127.0.0.1", "--secure-port", &port.to_string()])
            .arg("--root-ca-file")
            .arg(path("ca.crt"))
            // By default both would be created outside of the test's directory.
            .arg("--flex-volume-plugin-dir")
            .arg(path("flex"))
            .arg("--cert-dir")
            .arg(path("certificates"));
        for flag in ["--kubeconfig", "--authentication-kubeconfig", "--authorization-kubeconfig"] {
            command.arg(flag).arg(path("kubeconfig"));
        }
        let mut process =
            Process::start("kube-controller-manager", &mut command, path("kube-controller-manager.log"));

        // Its serving certificate is self-signed, so the test waits for its work instead of its
        // health.
        let accounts: kube::Api<k8s_openapi::api::core::v1::ServiceAccount> =
            kube::Api::namespaced(admin.client().await, "default");
        until("kube-controller-manager to create a service account", async || {
            assert!(process.is_running(), "kube-controller-manager ended while starting");
            accounts.get_opt("default").await.ok().flatten()
        })
        .await;
        Self { process, _dir: dir }
    }

    /// Returns the process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
