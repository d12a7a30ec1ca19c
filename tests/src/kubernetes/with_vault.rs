//! Where most of the tests start: a cluster, a Vault that trusts it, and a node of each driver
//! generation.

use std::future::Future;
use std::sync::Arc;

use serde_json::Value;

use super::cluster::{Cluster, ClusterOptions};
use super::namespace::Namespace;
use super::node::CsiNode;
use super::programs::DriverGeneration;
use super::vault_login::KubernetesRole;
use crate::openbao::OpenBao;
use crate::suite::{Servers, Suite};

/// A cluster with a Vault and nodes.
pub struct ClusterWithVault {
    nodes: Vec<CsiNode>,
    /// The Vault. `auth/kubernetes` reviews every token in the cluster.
    pub bao: OpenBao,
    /// The cluster.
    pub cluster: Cluster,
}

impl ClusterWithVault {
    /// Starts all servers.
    pub async fn start(options: ClusterOptions) -> Self {
        let (cluster, bao) = Self::without_nodes(options).await;
        let node = |generation| CsiNode::start(generation, &cluster, bao.address());
        let (old, new) = tokio::join!(node(DriverGeneration::V1_5), node(DriverGeneration::V1_6));
        Self { nodes: vec![old, new], bao, cluster }
    }

    /// Starts the cluster and the Vault, without nodes.
    pub async fn without_nodes(options: ClusterOptions) -> (Cluster, OpenBao) {
        let (cluster, bao) = tokio::join!(Cluster::start(options), OpenBao::start());
        bao.kubernetes_login("kubernetes", &cluster).await;
        (cluster, bao)
    }

    /// Returns the node with a driver of that generation.
    ///
    /// # Panics
    /// Never: there is one of each.
    pub fn node(&self, generation: DriverGeneration) -> &CsiNode {
        let mut nodes = self.nodes.iter();
        let found = nodes.find(|node| node.driver().generation() == generation);
        found.expect("a node of each generation")
    }

    /// Creates a namespace with service account `app`, for which role NAMESPACE may read
    /// `secret/NAMESPACE/*`.
    pub async fn namespace(&self, name: &str) -> Namespace {
        let namespace = self.cluster.namespace(name).await;
        namespace.account("app").await;
        self.grant(&namespace, "app", namespace.name(), Some("vault")).await;
        namespace
    }

    /// Lets a service account read `secret/NAMESPACE/*` as that role, with tokens of that audience.
    pub async fn grant(&self, namespace: &Namespace, account: &str, role: &str, audience: Option<&str>) {
        let rules = format!("path \"secret/data/{}/*\" {{ capabilities = [\"read\"] }}", namespace.name());
        self.bao.policy(role, &rules).await;
        let role =
            KubernetesRole { name: role, account, namespace: namespace.name(), audience, policy: role };
        self.bao.kubernetes_role("kubernetes", &role).await;
    }

    /// Writes the secret `secret/NAMESPACE/<name>`.
    pub async fn put(&self, namespace: &Namespace, name: &str, data: Value) {
        self.bao.kv_put(&format!("{}/{name}", namespace.name()), data).await;
    }
}

impl Servers for ClusterWithVault {
    fn show_logs(&self) {
        self.cluster.show_logs();
        self.bao.process().show_log();
        self.nodes.iter().for_each(CsiNode::show_logs);
    }
}

impl Suite<ClusterWithVault> {
    /// Adds a test that mounts, once for each driver.
    #[must_use]
    pub fn on_each_driver<F>(
        self,
        name: &str,
        test: impl Fn(Arc<ClusterWithVault>, DriverGeneration) -> F + Copy + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()>,
    {
        DriverGeneration::ALL.into_iter().fold(self, |suite, generation| {
            suite.mounting(format!("{name}::driver_{generation}"), move |setup| test(setup, generation))
        })
    }
}
