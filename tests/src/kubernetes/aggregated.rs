//! The aggregated API: coffer-api-server behind a real kube-apiserver.

mod direct;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::cluster::{Cluster, ClusterOptions};
use super::namespace::Namespace;
use super::programs::Program;
use super::suite::Servers;
use super::vault_login::KubernetesRole;
use crate::binaries::{coffer_binary, workspace};
use crate::openbao::OpenBao;
use crate::ports::free_port;
use crate::process::Process;
use crate::provider::HMAC_KEY;
use crate::wait::{CEILING, until};

pub use direct::Direct;

/// The namespace of the API server, as the shipped manifests have it.
pub const API_NAMESPACE: &str = "coffer-api";

/// The paths of the API.
pub const API: &str = "/apis/custom.secrets.k8s.io/v1alpha1";

/// The annotation by which everyone who may get a class reads it as service account `app`.
pub const READ_AS_APP: &str = "custom.secrets.k8s.io/service-account=app";

/// The value that every namespace's secret `db` has at key `password`: it may be seen in no list, log or error.
pub const PASSWORD: &str = "correct-horse-battery";

/// A cluster, a Vault that trusts it, and the API server between them, with the rights that are shipped.
pub struct AggregatedSite {
    process: Mutex<Process>,
    port: u16,
    dir: TempDir,
    /// The Vault.
    pub bao: OpenBao,
    /// The cluster.
    pub cluster: Cluster,
}

/// What kubectl printed.
#[derive(Debug)]
pub struct Printed {
    /// How it ended.
    pub status: ExitStatus,
    /// On standard output.
    pub out: String,
    /// On standard error.
    pub err: String,
}

impl AggregatedSite {
    /// Starts all of it; the API is available.
    pub async fn start(options: ClusterOptions) -> Self {
        Self::start_with(options, &[]).await
    }

    /// Starts all of it, the API server with further flags.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_with(options: ClusterOptions, flags: &[&str]) -> Self {
        let (cluster, bao) = tokio::join!(Cluster::start(options), OpenBao::start());
        bao.kubernetes_login("kubernetes", &cluster).await;
        let kubectl = cluster.kubectl();
        kubectl.run(["create", "namespace", API_NAMESPACE]).await;
        kubectl.apply([workspace().join("deploy/api-server-rbac.yaml")]).await;

        let dir = tempfile::tempdir().expect("a temporary directory");
        let kubeconfig = cluster.account_kubeconfig(API_NAMESPACE, "coffer-api-server").await;
        kubeconfig.write(&dir.path().join("kubeconfig"));
        std::fs::write(dir.path().join("hmac-key"), HMAC_KEY).expect("write the HMAC key");
        let port = free_port();
        let mut flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--vault-addr={}", bao.address()));
        let process = Mutex::new(run(&dir, port, &flags));
        let site = Self { process, port, dir, bao, cluster };
        site.register().await;
        site.available().await;
        site
    }

    /// Runs the administrator's kubectl and gives what it printed, whether it failed or not.
    ///
    /// # Panics
    /// When it cannot be run, or does not end.
    pub async fn kubectl(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Printed {
        let mut command = Command::new(Program::Kubectl.path());
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("KUBECONFIG", self.cluster.kubectl().kubeconfig())
            .args(arguments)
            .kill_on_drop(true);
        // a watch that is not refused would never end
        let output = timeout(CEILING, command.output()).await.expect("kubectl ends").expect("kubectl runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Printed { status: output.status, out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// A new namespace that opted in, with service account `app`, a secret `db` of `user` and `password` that
    /// it may read as role NAMESPACE, and a class `db` of both.
    pub async fn namespace(&self, name: &str) -> Namespace {
        let namespace = self.cluster.namespace(name).await;
        namespace.account("app").await;
        self.opt_in(&namespace).await;
        self.grant(&namespace, "app").await;
        let data = json!({ "user": "jo", "password": PASSWORD });
        self.bao.kv_put(&format!("{}/db", namespace.name()), data).await;
        let objects = namespace.objects("db", &[("user", "user"), ("password", "password")]);
        namespace.class("db", json!({ "roleName": namespace.name(), "objects": objects })).await;
        self.listed(&namespace, "db").await;
        namespace
    }

    /// The same, its class `db` read as `app` for everyone who may.
    pub async fn annotated_namespace(&self, name: &str) -> Namespace {
        let namespace = self.namespace(name).await;
        self.annotate(&namespace, "db", READ_AS_APP).await;
        until("the annotation to count", async || {
            let read = self.kubectl(["get", "vaultsecret", "db", "-n", namespace.name(), "-o", "yaml"]).await;
            read.status.success().then_some(())
        })
        .await;
        namespace
    }

    /// Lets the API server mint tokens in a namespace, as its owner would.
    pub async fn opt_in(&self, namespace: &Namespace) {
        let account = format!("--serviceaccount={API_NAMESPACE}:coffer-api-server");
        let role = "--clusterrole=coffer-token-minter";
        let binding =
            ["create", "rolebinding", "coffer-token-minter", "-n", namespace.name(), role, &account];
        self.cluster.kubectl().run(binding).await;
    }

    /// Lets a service account read everything below `secret/NAMESPACE/` and what tests mount, as role NAMESPACE.
    pub async fn grant(&self, namespace: &Namespace, account: &str) {
        let name = namespace.name();
        let rules = format!(
            "path \"secret/data/{name}/*\" {{ capabilities = [\"read\"] }}\n\
             path \"transit/*\" {{ capabilities = [\"read\", \"update\"] }}\n"
        );
        self.bao.policy(name, &rules).await;
        let role = KubernetesRole { name, account, namespace: name, audience: Some("vault"), policy: name };
        self.bao.kubernetes_role("kubernetes", &role).await;
    }

    /// Annotates a class.
    pub async fn annotate(&self, namespace: &Namespace, class: &str, annotation: &str) {
        let arguments =
            ["annotate", "--overwrite", "secretproviderclass", class, "-n", namespace.name(), annotation];
        self.cluster.kubectl().run(arguments).await;
    }

    /// Gives a user the right to do that, as `kubectl create role` writes it, and waits until it counts.
    pub async fn allow(&self, namespace: &Namespace, user: &str, verbs: &[&str], name: Option<&str>) {
        let kubectl = self.cluster.kubectl();
        let role = format!("{user}-{}", name.unwrap_or("all"));
        let mut arguments = vec!["create".to_owned(), "role".to_owned(), role.clone()];
        arguments.extend(["-n".to_owned(), namespace.name().to_owned()]);
        arguments.extend(verbs.iter().map(|verb| format!("--verb={verb}")));
        arguments.push("--resource=secrets.custom.secrets.k8s.io".to_owned());
        arguments.extend(name.map(|name| format!("--resource-name={name}")));
        kubectl.run(arguments).await;
        let (role_flag, user_flag) = (format!("--role={role}"), format!("--user={user}"));
        kubectl.run(["create", "rolebinding", &role, "-n", namespace.name(), &role_flag, &user_flag]).await;
    }

    /// Waits until the API server knows of a class.
    pub async fn listed(&self, namespace: &Namespace, class: &str) {
        until(&format!("the API server to know class {class}"), async || {
            let selector = format!("--field-selector=metadata.name={class}");
            let shown =
                self.kubectl(["get", "vaultsecret", "-n", namespace.name(), "-o", "name", &selector]).await;
            shown.out.contains(class).then_some(())
        })
        .await;
    }

    /// Everything that the API server has logged so far.
    pub async fn log(&self) -> String {
        self.process().log()
    }

    /// Sends SIGTERM to the API server.
    pub fn terminate(&self) {
        self.process().terminate();
    }

    /// Ends the API server at once.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Starts the API server again, on the same port.
    pub async fn start_again(&self) {
        let flags = [format!("--vault-addr={}", self.bao.address())];
        let process = run(&self.dir, self.port, &flags);
        *self.process() = process;
        self.available().await;
    }

    /// Whether the API server has not ended.
    pub fn is_running(&self) -> bool {
        self.process().is_running()
    }

    /// Its memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.process().resident_kib()
    }

    /// Waits until kube-apiserver takes the API for available.
    pub async fn available(&self) {
        until("the APIService to be available", async || {
            assert!(self.is_running(), "coffer-api-server ended while starting: {}", self.process().log());
            let path = "-o=jsonpath={.status.conditions[?(@.type=='Available')].status}";
            let shown = self.kubectl(["get", "apiservice", "v1alpha1.custom.secrets.k8s.io", path]).await;
            let listed = self.kubectl(["get", "--raw", &format!("{API}/secrets")]).await;
            (shown.out == "True" && listed.status.success()).then_some(())
        })
        .await;
    }

    /// A Service that leads to this host, and the APIService as it is shipped but for the port.
    async fn register(&self) {
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "coffer-api-server", "namespace": API_NAMESPACE },
            "spec": { "type": "ExternalName", "externalName": "localhost" },
        });
        let api_service = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": { "name": "v1alpha1.custom.secrets.k8s.io" },
            "spec": {
                "group": "custom.secrets.k8s.io", "version": "v1alpha1",
                "groupPriorityMinimum": 100, "versionPriority": 100,
                "service": { "name": "coffer-api-server", "namespace": API_NAMESPACE, "port": self.port },
            },
        });
        for (name, object) in [("service", service), ("apiservice", api_service)] {
            let file = self.dir.path().join(format!("{name}.json"));
            std::fs::write(&file, object.to_string()).expect("write a manifest");
            self.cluster.kubectl().apply([file]).await;
        }
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Printed {
    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// What it printed where it failed.
    ///
    /// # Panics
    /// When it did not fail.
    pub fn refused(&self) -> &str {
        assert!(!self.status.success(), "not refused: {self:?}");
        &self.err
    }

    /// What it printed where it succeeded.
    ///
    /// # Panics
    /// When it failed.
    pub fn shown(&self) -> &str {
        assert!(self.status.success(), "failed: {self:?}");
        &self.out
    }
}

impl Servers for AggregatedSite {
    fn show_logs(&self) {
        self.cluster.show_logs();
        self.bao.process().show_log();
        self.process().show_log();
    }
}

fn run(dir: &TempDir, port: u16, flags: &[String]) -> Process {
    let path = |name: &str| -> PathBuf { dir.path().join(name) };
    let mut command = std::process::Command::new(coffer_binary("coffer-api-server"));
    command
        .env_clear()
        .env("KUBECONFIG", path("kubeconfig"))
        .arg(format!("--listen=127.0.0.1:{port}"))
        .arg(format!("--hmac-key-file={}", path("hmac-key").display()))
        .arg("--shutdown-delay=1s")
        .args(flags);
    Process::start("coffer-api-server", &mut command, path("coffer-api-server.log"))
}
