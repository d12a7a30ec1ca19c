//! OpenBao's Kubernetes auth method, which reviews every token at kube-apiserver.

use reqwest::Method;
use serde_json::json;

use super::cluster::Cluster;
use super::kubectl::Kubectl;
use crate::openbao::OpenBao;

/// A role of the Kubernetes auth method.
#[derive(Clone, Debug)]
pub struct KubernetesRole<'a> {
    /// The role's name.
    pub name: &'a str,
    /// The one service account that may log in.
    pub account: &'a str,
    /// The account's namespace.
    pub namespace: &'a str,
    /// The audience that tokens must have; kube-apiserver's own if `None`.
    pub audience: Option<&'a str>,
    /// The policy of the tokens that Vault issues.
    pub policy: &'a str,
}

impl OpenBao {
    /// Enables logins of the cluster's service accounts at `auth/<mount>`, where kube-apiserver
    /// reviews each token.
    pub async fn kubernetes_login(&self, mount: &str, cluster: &Cluster) {
        self.kubernetes_login_as(mount, cluster, "token-reviewer").await;
    }

    /// Does the same as [`Self::kubernetes_login`], with a new service account of that name as
    /// reviewer.
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

    /// Writes a role of the auth method.
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

/// Creates an account that may review tokens, as Vault's documentation describes, and returns its
/// token.
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
