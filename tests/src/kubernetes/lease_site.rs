//! Where the tests of leases start: a cluster, a Vault that issues users of a real PostgreSQL, and node agents that keep
//! them.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use super::COFFER_NAMESPACE;
use super::cluster::{Cluster, ClusterOptions};
use super::namespace::Namespace;
use super::suite::Servers;
use super::with_vault::ClusterWithVault;
use crate::binaries::coffer_binary;
use crate::mount::{MountCall, Mounted};
use crate::openbao::OpenBao;
use crate::pod::Pod;
use crate::postgres::{Postgres, Terms};
use crate::provider::{Csi, CsiOptions};
use crate::wait::until;

/// Cluster, Vault and PostgreSQL.
pub struct LeaseSite {
    /// The cluster.
    pub cluster: Cluster,
    /// The Vault. `auth/kubernetes` asks the cluster about every token, `database/` makes users in PostgreSQL.
    pub bao: OpenBao,
    /// The PostgreSQL.
    pub postgres: Postgres,
}

/// A node whose agent keeps leases, with a place for its state and its socket.
pub struct LeaseNode {
    /// Its agent.
    pub csi: Csi,
    name: String,
    vault: String,
    dir: TempDir,
}

/// A role that issues, and a namespace whose account `app` may ask it.
pub struct Tenant {
    /// The namespace.
    pub namespace: Namespace,
    /// The class's parameters: one object `user`, one `password`, both of `database/creds/<the namespace's name>`.
    pub objects: String,
}

impl LeaseSite {
    /// Starts all of it.
    pub async fn start() -> Self {
        let with_vault = ClusterWithVault::without_nodes(ClusterOptions::default());
        let ((cluster, bao), postgres) = tokio::join!(with_vault, Postgres::start());
        postgres.connect(&bao).await;
        Self { cluster, bao, postgres }
    }

    /// A namespace with a role of its own at the database engine, and tokens that live this long.
    pub async fn tenant(&self, name: &str, terms: Terms<'_>, token_ttl: &str) -> Tenant {
        let namespace = self.cluster.namespace(name).await;
        namespace.account("app").await;
        let role = namespace.name();
        Postgres::role(&self.bao, role, terms).await;
        let rules = format!(
            "path \"database/creds/{role}\" {{ capabilities = [\"read\"] }}\n\
             path \"secret/data/{role}/*\" {{ capabilities = [\"read\"] }}"
        );
        self.bao.policy(role, &rules).await;
        self.login_role(&namespace, token_ttl, "0").await;
        let object = |name: &str, key: &str| json!({ "objectName": name, "secretPath": format!("database/creds/{role}"), "secretKey": key });
        let objects = json!([object("user", "username"), object("password", "password")]).to_string();
        Tenant { namespace, objects }
    }

    /// The role that a namespace's account logs in with: how long its tokens live, and how long at the most.
    pub async fn login_role(&self, namespace: &Namespace, ttl: &str, max_ttl: &str) {
        let name = namespace.name();
        let role = json!({
            "bound_service_account_names": ["app"],
            "bound_service_account_namespaces": [name],
            "audience": "vault",
            "token_policies": [name],
            "token_ttl": ttl,
            "token_max_ttl": max_ttl,
        });
        self.bao.admin(Method::POST, &format!("auth/kubernetes/role/{name}"), role).await;
    }

    /// A node with its agent running, pointed at this Vault.
    pub async fn node(&self, name: &str) -> LeaseNode {
        self.node_by(name, self.bao.address()).await
    }

    /// A node whose agent reaches Vault at another address.
    pub async fn node_by(&self, name: &str, vault: &str) -> LeaseNode {
        // as on every node, the agent's own pod is there before it
        let coffer = Namespace::existing(self.cluster.client(), COFFER_NAMESPACE);
        coffer.pod_on(name, "coffer-csi", "none").await;
        let dir = tempfile::tempdir_in("/dev/shm").expect("a directory on tmpfs");
        self.cluster.coffer_kubeconfig().await.write(&kubeconfig(dir.path()));
        let csi = options(name, vault, dir.path()).start().await;
        LeaseNode { csi, name: name.to_owned(), vault: vault.to_owned(), dir }
    }

    /// Waits until PostgreSQL has no user of a tenant's any more.
    pub async fn nobody_left(&self, tenant: &Tenant) {
        let name = tenant.namespace.name();
        until("PostgreSQL to have no user left", async || self.postgres.users(name).is_empty().then_some(()))
            .await;
    }

    /// How many users Vault was asked for in a namespace's name.
    pub fn issued(&self, namespace: &Namespace) -> usize {
        self.bao.requests_to(&format!("database/creds/{}", namespace.name()))
    }
}

impl Servers for LeaseSite {
    fn show_logs(&self) {
        self.cluster.show_logs();
        self.bao.process().show_log();
        self.postgres.process().show_log();
    }
}

impl Tenant {
    /// A pod on that node.
    pub async fn pod(&self, node: &LeaseNode) -> Pod {
        self.namespace.pod_on(&node.name, "app", "db").await
    }

    /// The mount of a pod's volume, as often as it is called. No token comes along: the agent has one minted.
    pub fn call(&self, pod: &Pod) -> MountCall {
        MountCall::new(pod)
            .param("roleName", self.namespace.name())
            .param("audience", "vault")
            .param("secretProviderClass", "db")
            .objects(&self.objects)
    }
}

/// The user that a mount gave.
pub fn user(mounted: &Mounted) -> String {
    mounted.text("user").to_owned()
}

impl LeaseNode {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory where its agent keeps what outlives it.
    pub fn state(&self) -> PathBuf {
        state(self.dir.path())
    }

    /// How its agent is started.
    pub fn options(&self) -> CsiOptions {
        options(&self.name, &self.vault, self.dir.path())
    }

    /// What `coffer status` prints.
    ///
    /// # Panics
    /// When it fails.
    pub async fn status(&self) -> String {
        let mut command = Command::new(coffer_binary("coffer"));
        let output =
            command.arg("status").arg("--state-dir").arg(self.state()).output().await.expect("run coffer");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Kills the agent and starts it again.
    pub async fn kill_and_start(&mut self) {
        self.csi.kill();
        self.csi.wait().await;
        self.csi = self.options().start().await;
    }

    /// Ends the agent as a rolling update does and starts the next one.
    pub async fn restart(&mut self) {
        self.csi.terminate();
        self.csi.wait().await;
        self.csi = self.options().start().await;
    }

    /// Mounts, which must succeed.
    ///
    /// # Panics
    /// When it fails.
    pub async fn mount(&self, call: &MountCall) -> Mounted {
        self.csi.mount(call).await.expect("the mount succeeds")
    }
}

fn options(node: &str, vault: &str, dir: &Path) -> CsiOptions {
    Csi::options()
        .socket(&dir.join("vault.sock"))
        .env("KUBECONFIG", kubeconfig(dir))
        .env("NODE_NAME", node)
        .flag(format!("-vault-addr={vault}"))
        .flag(format!("-state-dir={}", state(dir).display()))
}

fn kubeconfig(dir: &Path) -> PathBuf {
    dir.join("coffer.kubeconfig")
}

fn state(dir: &Path) -> PathBuf {
    dir.join("state")
}
