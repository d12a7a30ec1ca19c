//! OpenBao's Kubernetes login, where it asks kube-apiserver about every token.

use reqwest::Method;
use serde_json::json;

use super::cluster::Cluster;
use super::kubectl::Kubectl;
use crate::openbao::OpenBao;

/// A role of the Kubernetes login.
#[derive(Clone, Debug)]
pub struct KubernetesRole<'a> {
    /// Its name.
    pub name: &'a str,
    /// The one service account that may log in.
    pub account: &'a str,
    /// The account's namespace.
    pub namespace: &'a str,
    /// The audience that the token must be for; without one, kube-apiserver's own.
    pub audience: Option<&'a str>,
    /// What the login's token may do.
    pub policy: &'a str,
}

impl OpenBao {
    /// Lets the cluster's service accounts log in at `auth/<mount>`, each token reviewed by kube-apiserver.
    pub async fn kubernetes_login(&self, mount: &str, cluster: &Cluster) {
        self.kubernetes_login_as(mount, cluster, "token-reviewer").await;
    }

    /// The same, the review asked for by a new service account of that name.
    pub async fn kubernetes_login_as(&self, mount: &str, cluster: &Cluster, reviewer: &str) {
        let reviewer = token_of_reviewer(cluster, reviewer).await;
        let admin = cluster.api_server().admin();
        self.admin(Method::POST, &format!("sys/auth/{mount}"), json!({ "type": "kubernetes" })).await;
        let config = json!({
            "kubernetes_host": admin.server,
            "kubernetes_ca_cert": admin.authority,
            "token_reviewer_jwt": reviewer,
            "disable_local_ca_jwt": true,
        });
        self.admin(Method::POST, &format!("auth/{mount}/config"), config).await;
    }

    /// Writes a role of it.
    pub async fn kubernetes_role(&self, mount: &str, role: &KubernetesRole<'_>) {
        let body = json!({
            "bound_service_account_names": [role.account],
            "bound_service_account_namespaces": [role.namespace],
            "audience": role.audience.unwrap_or_default(),
            "token_policies": [role.policy],
            "token_ttl": "1h",
        });
        self.admin(Method::POST, &format!("auth/{mount}/role/{}", role.name), body).await;
    }
}

/// The token of an account that may review tokens, as Vault's documentation has it.
async fn token_of_reviewer(cluster: &Cluster, account: &str) -> String {
    let kubectl: &Kubectl = cluster.kubectl();
    kubectl.run(["create", "serviceaccount", account]).await;
    kubectl
        .run([
            "create",
            "clusterrolebinding",
            account,
            "--clusterrole=system:auth-delegator",
            &format!("--serviceaccount=default:{account}"),
        ])
        .await;
    cluster.account_kubeconfig("default", account).await.token
}
