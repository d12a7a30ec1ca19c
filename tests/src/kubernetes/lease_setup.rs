//! Where the tests of leases start: a cluster, a Vault that issues users of a real PostgreSQL, and
//! nodes whose agents manage the leases.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::cluster::{Cluster, ClusterOptions};
use super::lease_node::LeaseNode;
use super::namespace::Namespace;
use super::with_vault::ClusterWithVault;
use crate::limits::ProcessLimits;
use crate::mount::{MountCall, Mounted};
use crate::openbao::OpenBao;
use crate::pod::TestPod;
use crate::postgres::{LeaseTtls, Postgres};
use crate::relay::Relay;
use crate::suite::Servers;
use crate::wait::until_true;

/// A cluster, a Vault and a PostgreSQL.
pub struct LeaseSetup {
    /// The cluster.
    pub cluster: Cluster,
    /// The Vault. `auth/kubernetes` reviews every token in the cluster, `database/` creates users
    /// in PostgreSQL.
    pub bao: OpenBao,
    /// The PostgreSQL.
    pub postgres: Postgres,
}

/// A namespace with a role of the database engine that its account `app` may read.
pub struct Tenant {
    /// The namespace.
    pub namespace: Namespace,
    /// The class's parameter `objects`: `user` and `password` of `database/creds/<the namespace's
    /// name>`.
    pub objects: String,
}

impl LeaseSetup {
    /// Starts all servers.
    pub async fn start() -> Self {
        let with_vault = ClusterWithVault::without_nodes(ClusterOptions::default());
        let ((cluster, bao), postgres) = tokio::join!(with_vault, Postgres::start());
        postgres.connect(&bao).await;
        Self { cluster, bao, postgres }
    }

    /// Creates a namespace with its own role of the database engine, and a login role whose tokens
    /// have that TTL.
    pub async fn tenant(&self, name: &str, terms: LeaseTtls<'_>, token_ttl: &str) -> Tenant {
        let namespace = self.cluster.namespace(name).await;
        namespace.account("app").await;
        let role = namespace.name();
        Postgres::role(&self.bao, role, terms).await;
        let rules = format!(
            "path \"database/creds/{role}\" {{ capabilities = [\"read\"] }}\n\
             path \"secret/data/{role}/*\" {{ capabilities = [\"read\"] }}"
        );
        self.bao.policy(role, &rules).await;
        self.login_role(role, &namespace, json!({ "token_ttl": token_ttl })).await;
        let object = |name: &str, key: &str| json!({ "objectName": name, "secretPath": format!("database/creds/{role}"), "secretKey": key });
        let objects = json!([object("user", "username"), object("password", "password")]).to_string();
        Tenant { namespace, objects }
    }

    /// Writes a login role for a namespace's account, with these fields for its tokens.
    pub async fn login_role(&self, name: &str, namespace: &Namespace, tokens: Value) {
        let mut role = json!({
            "bound_service_account_names": ["app"],
            "bound_service_account_namespaces": [namespace.name()],
            "audience": "vault",
            "token_policies": [namespace.name()],
        });
        role.as_object_mut().expect("an object").extend(tokens.as_object().expect("an object").clone());
        self.bao.admin(Method::POST, &format!("auth/kubernetes/role/{name}"), role).await;
    }

    /// Starts a node whose agent uses this Vault.
    pub async fn node(&self, name: &str) -> LeaseNode {
        self.node_by(name, self.bao.address()).await
    }

    /// Starts a node whose agent uses Vault at another address.
    pub async fn node_by(&self, name: &str, vault: &str) -> LeaseNode {
        self.start_node(name, vault, None).await
    }

    /// Starts a node whose agent runs within limits.
    pub async fn limited_node(&self, name: &str, limits: &ProcessLimits) -> LeaseNode {
        self.start_node(name, self.bao.address(), Some(limits.clone())).await
    }

    async fn start_node(&self, name: &str, vault: &str, limits: Option<ProcessLimits>) -> LeaseNode {
        LeaseNode::start(&self.cluster, name, vault, limits, &[]).await
    }

    /// Starts a mount whose user is created in PostgreSQL, while the relay holds back Vault's
    /// answer.
    pub async fn held_mount(
        &self,
        tenant: &Tenant,
        node: &LeaseNode,
        relay: &Relay,
        pod: &TestPod,
    ) -> JoinHandle<bool> {
        relay.hold("database/creds");
        let (mut client, request) = (node.csi.client(), tenant.call(pod).request());
        let mount = tokio::spawn(async move { client.mount(request).await.is_ok() });
        until_true("the user to be created", async || relay.held() > 0).await;
        mount
    }

    /// Deletes pods, and waits until their agent has revoked their tokens, and PostgreSQL has no
    /// users of the tenant. A user whose TTL merely ended does not count.
    pub async fn end(&self, tenant: &Tenant, node: &LeaseNode, pods: &[&TestPod]) {
        let before = node.revoked().await;
        for pod in pods {
            tenant.namespace.delete_pod(pod).await;
        }
        self.nobody_left(tenant).await;
        let all = before + pods.len();
        until_true("all tokens to be revoked", async || node.revoked().await >= all).await;
    }

    /// Waits until PostgreSQL has no users of a tenant.
    pub async fn nobody_left(&self, tenant: &Tenant) {
        let name = tenant.namespace.name();
        until_true("PostgreSQL to have no users", async || self.postgres.users(name).is_empty()).await;
    }

    /// Returns how many users a namespace's role has issued.
    pub fn issued(&self, namespace: &Namespace) -> usize {
        self.bao.requests_to(&format!("database/creds/{}", namespace.name()))
    }
}

impl Servers for LeaseSetup {
    fn show_logs(&self) {
        self.cluster.show_logs();
        self.bao.process().show_log();
        self.postgres.process().show_log();
    }
}

impl Tenant {
    /// Creates a pod on that node.
    pub async fn pod(&self, node: &LeaseNode) -> TestPod {
        self.namespace.pod_on(node.name(), "app", "db").await
    }

    /// Returns the Mount call for a pod's volume. It carries no token: the agent requests one from
    /// kube-apiserver.
    pub fn call(&self, pod: &TestPod) -> MountCall {
        MountCall::new(pod)
            .param("roleName", self.namespace.name())
            .param("audience", "vault")
            .objects(&self.objects)
    }
}

/// Returns the user in a mounted volume.
pub fn user(mounted: &Mounted) -> String {
    mounted.text("user").to_owned()
}
