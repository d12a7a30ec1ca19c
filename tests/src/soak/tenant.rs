//! The tenants: a namespace each, with what it may do in Vault.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::values::{SecretHistory, data};
use crate::kubernetes::{Cluster, Namespace};
use crate::openbao::OpenBao;
use crate::postgres::{LeaseTtls, Postgres};

/// Leases that must be renewed again and again; those of every other tenant.
const SHORT: LeaseTtls<'static> = LeaseTtls { ttl: "2m", max_ttl: "24h" };

/// Leases that outlive the quiet time, so that a forgotten one is seen.
const LONG: LeaseTtls<'static> = LeaseTtls { ttl: "1h", max_ttl: "24h" };

/// A namespace with its role, its secret and its classes.
pub(super) struct SoakTenant {
    pub(super) namespace: Namespace,
    history: Mutex<SecretHistory>,
    /// Held by who writes the secret.
    turn: tokio::sync::Mutex<()>,
    written: AtomicUsize,
}

impl SoakTenant {
    /// Creates the namespace, its role, its secret and its classes.
    pub(super) async fn new(cluster: &Cluster, bao: &OpenBao, number: usize) -> Self {
        let namespace = cluster.namespace(["red", "green", "blue", "grey"][number % 4]).await;
        namespace.account("app").await;
        let terms = if number.is_multiple_of(2) { SHORT } else { LONG };
        Postgres::role(bao, namespace.name(), terms).await;
        let certificates = json!({ "allow_any_name": true, "key_type": "ec", "key_bits": 256, "ttl": "24h" });
        bao.admin(Method::POST, &format!("pki/roles/{}", namespace.name()), certificates).await;
        let tenant = Self {
            namespace,
            history: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            written: AtomicUsize::new(0),
        };
        tenant.grant(bao).await;
        tenant.bind(bao, tenant.namespace.name()).await;
        let first = tenant.write(bao).await.expect("OpenBao takes the secret");
        tenant.history().confirm(first, Duration::ZERO);
        tenant.classes().await;
        tenant
    }

    pub(super) fn history(&self) -> MutexGuard<'_, SecretHistory> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the tenant's tokens read what its classes name.
    pub(super) async fn grant(&self, bao: &OpenBao) {
        let name = self.namespace.name();
        let rules = format!(
            "path \"database/creds/{name}\" {{ capabilities = [\"read\"] }}\n\
             path \"secret/data/{name}/*\" {{ capabilities = [\"read\"] }}\n\
             path \"pki/issue/{name}\" {{ capabilities = [\"create\", \"update\"] }}"
        );
        bao.policy(name, &rules).await;
    }

    /// Takes those rights away.
    pub(super) async fn deny(&self, bao: &OpenBao) {
        bao.policy(self.namespace.name(), "path \"nothing\" { capabilities = [\"read\"] }").await;
    }

    /// Writes the login role for the account `app` of a namespace.
    pub(super) async fn bind(&self, bao: &OpenBao, namespace: &str) {
        let name = self.namespace.name();
        let role = json!({
            "bound_service_account_names": ["app"],
            "bound_service_account_namespaces": [namespace],
            "audience": "vault",
            "token_policies": [name],
            "token_ttl": "4m",
        });
        bao.admin(Method::POST, &format!("auth/kubernetes/role/{name}"), role).await;
    }

    /// Waits until nobody else writes the secret.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Writes a new value, and returns its place in the history if Vault has taken it.
    pub(super) async fn write(&self, bao: &OpenBao) -> Option<usize> {
        let name = self.namespace.name();
        let id = format!("{name}-{}", self.written.fetch_add(1, Ordering::Relaxed));
        let index = self.history().begin(id.clone());
        let body = json!({ "data": data(&id) });
        bao.try_admin(Method::POST, &format!("secret/data/{name}/app"), &body).await.map(|_| index)
    }

    async fn classes(&self) {
        let name = self.namespace.name();
        let (kv, db, pki) = (
            format!("secret/data/{name}/app"),
            format!("database/creds/{name}"),
            format!("pki/issue/{name}"),
        );
        let one = |file: &str, path: &str, key: &str| json!({ "objectName": file, "secretPath": path, "secretKey": key });
        let all =
            |file: &str, format: &str| json!({ "objectName": file, "secretPath": kv, "format": format });
        let template = format!(
            "{{{{ with secret \"{kv}\" }}}}user is {{{{ .Data.data.user }}}}, \
             password is {{{{ .Data.data.password }}}}\n{{{{ end }}}}"
        );
        let issued = |file: &str, key: &str| {
            json!({
                "objectName": file, "secretPath": pki, "secretKey": key,
                "method": "POST", "secretArgs": { "common_name": "app.example.com" },
            })
        };
        let classes = [
            (
                "app",
                vec![
                    one("user", &kv, "user"),
                    one("password", &kv, "password"),
                    all("app.json", "json"),
                    all("app.env", "dotenv"),
                    json!({ "objectName": "app.conf", "template": template }),
                ],
            ),
            (
                "db",
                vec![
                    one("db-user", &db, "username"),
                    one("db-password", &db, "password"),
                    one("host", &kv, "user"),
                ],
            ),
            (
                "tls",
                vec![
                    issued("tls.crt", "certificate"),
                    issued("tls.key", "private_key"),
                    one("host", &kv, "user"),
                ],
            ),
        ];
        for (class, objects) in classes {
            let parameters = json!({ "roleName": name, "objects": Value::from(objects).to_string() });
            self.namespace.class(class, parameters).await;
        }
    }
}

/// Mounts an engine that issues certificates.
pub(super) async fn add_authority(bao: &OpenBao) {
    bao.mount_engine("pki", "pki", json!({})).await;
    let root = json!({ "common_name": "soak", "ttl": "700h", "key_type": "ec", "key_bits": 256 });
    bao.admin(Method::POST, "pki/root/generate/internal", root).await;
}
