//! Namespaces of tenants, with secrets, classes and rights.

use serde_json::json;

use super::{API_NAMESPACE, ApiSetup, PASSWORD, READ_AS_APP};
use crate::kubernetes::namespace::Namespace;
use crate::kubernetes::vault_login::KubernetesRole;
use crate::wait::until_true;

impl ApiSetup {
    /// Creates a namespace that opted in, with service account `app`, a secret `db` of `user` and
    /// `password` that the account may read as role NAMESPACE, and a class `db` of both.
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

    /// Creates a namespace whose class `db` is read as `app` by everyone who may.
    pub async fn annotated_namespace(&self, name: &str) -> Namespace {
        let namespace = self.namespace(name).await;
        self.annotate(&namespace, "db", READ_AS_APP).await;
        until_true("the annotation to become effective", async || {
            let read = self.kubectl(["get", "vaultsecret", "db", "-n", namespace.name(), "-o", "yaml"]).await;
            read.status.success()
        })
        .await;
        namespace
    }

    /// Lets the API server mint tokens in a namespace, as the namespace's owner would.
    pub async fn opt_in(&self, namespace: &Namespace) {
        let account = format!("--serviceaccount={API_NAMESPACE}:coffer-api-server");
        let role = "--clusterrole=coffer-token-minter";
        let binding =
            ["create", "rolebinding", "coffer-token-minter", "-n", namespace.name(), role, &account];
        self.cluster.kubectl().run(binding).await;
    }

    /// Lets a service account read everything below `secret/NAMESPACE/` and `transit/`, as role
    /// NAMESPACE.
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

    /// Lets a user make requests with these verbs, for one class or all. The right may take a
    /// moment to become effective.
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

    /// Waits until the API server knows a class.
    pub async fn listed(&self, namespace: &Namespace, class: &str) {
        until_true(&format!("the API server to know class {class}"), async || {
            let selector = format!("--field-selector=metadata.name={class}");
            let shown =
                self.kubectl(["get", "vaultsecret", "-n", namespace.name(), "-o", "name", &selector]).await;
            shown.out.contains(class)
        })
        .await;
    }
}
