//! The example of the README: its class, and its secret in Vault.

use std::path::PathBuf;

use serde_json::json;

use super::cluster::Cluster;
use super::namespace::Namespace;
use super::vault_login::KubernetesRole;
use crate::binaries::workspace;
use crate::openbao::OpenBao;

/// Returns the path of the class that the README shows.
pub fn example_class() -> PathBuf {
    workspace().join("examples/secretproviderclass.yaml")
}

/// Creates the namespace `shop` with service account `shop`, and applies the class.
pub async fn example_namespace(cluster: &Cluster) -> Namespace {
    let kubectl = cluster.kubectl();
    kubectl.run(["create", "namespace", "shop"]).await;
    let shop = Namespace::existing(cluster.client(), "shop");
    shop.account("shop").await;
    kubectl.apply([example_class()]).await;
    shop
}

/// Writes the secret that the class reads, and the role with which its service account logs in.
pub async fn example_secret(bao: &OpenBao) {
    bao.kv_put("shop/db", json!({ "username": "shop", "password": "correct-horse" })).await;
    bao.policy("shop", r#"path "secret/data/shop/*" { capabilities = ["read"] }"#).await;
    let role = KubernetesRole {
        name: "shop",
        account: "shop",
        namespace: "shop",
        audience: Some("vault"),
        policy: "shop",
    };
    bao.kubernetes_role("kubernetes", &role).await;
}
