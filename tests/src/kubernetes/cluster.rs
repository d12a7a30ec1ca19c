//! A cluster: kube-apiserver over etcd, with what the driver and Coffer need installed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace as NamespaceObject, ServiceAccount};
use k8s_openapi::api::storage::v1::CSIDriver;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::api_server::ApiServer;
use super::controller_manager::ControllerManager;
use super::etcd::Etcd;
use super::helm::shipped_folder;
use super::kubeconfig::Kubeconfig;
use super::kubectl::Kubectl;
use super::namespace::Namespace;
use super::programs::DriverGeneration;
use super::{COFFER_NAMESPACE, DRIVER_NAME};
use crate::pod::TestPod;

/// A cluster with CRDs, RBAC and CSIDriver object of the driver, and the RBAC of Coffer as it is shipped. Its nodes
/// are [`CsiNode`](super::CsiNode)s.
pub struct Cluster {
    controllers: Option<ControllerManager>,
    api_server: ApiServer,
    etcd: Etcd,
    kubectl: Kubectl,
    driver_kubeconfig: PathBuf,
    _dir: TempDir,
}

/// How pods' tokens come to the provider: what the CSIDriver object says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenDelivery {
    /// `tokenRequests` for audience `vault`: among the volume's attributes.
    #[default]
    InAttributes,
    /// The same with `serviceAccountTokenInSecrets`: among its secrets.
    InSecrets,
    /// No `tokenRequests`: as upstream ships the object.
    NotRequested,
}

/// How to start a cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClusterOptions {
    /// What the CSIDriver object asks for.
    pub tokens: TokenDelivery,
    /// With a controller manager, where a test needs its work.
    pub controllers: bool,
}

impl Cluster {
    /// Starts it.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(options: ClusterOptions) -> Self {
        let etcd = Etcd::start().await;
        let api_server = ApiServer::start(&etcd).await;
        let admin = api_server.admin();
        let kubectl = Kubectl::new(&admin);
        install(&kubectl, api_server.client(), options.tokens).await;
        // After the CRDs: a kind that comes later it notices only at its next look, half a minute on.
        let controllers = match options.controllers {
            true => Some(ControllerManager::start(&admin).await),
            false => None,
        };

        let dir = tempfile::tempdir().expect("a temporary directory");
        let cluster = Self {
            controllers,
            api_server,
            etcd,
            kubectl,
            driver_kubeconfig: dir.path().join("driver.kubeconfig"),
            _dir: dir,
        };
        let driver = cluster.account_kubeconfig("kube-system", "secrets-store-csi-driver").await;
        driver.write(&cluster.driver_kubeconfig);
        cluster
    }

    /// etcd.
    pub fn etcd(&self) -> &Etcd {
        &self.etcd
    }

    /// The controller manager, where there is one.
    pub fn controllers(&self) -> Option<&ControllerManager> {
        self.controllers.as_ref()
    }

    /// kube-apiserver.
    pub fn api_server(&self) -> &ApiServer {
        &self.api_server
    }

    /// A client of the administrator.
    pub fn client(&self) -> &Client {
        self.api_server.client()
    }

    /// kubectl of the administrator.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// A new namespace whose name begins so.
    pub async fn namespace(&self, name: &str) -> Namespace {
        static MADE: AtomicU32 = AtomicU32::new(1);
        let name = format!("{name}-{}", MADE.fetch_add(1, Ordering::Relaxed));
        create_namespace(self.client(), &name).await;
        Namespace::existing(self.client(), &name)
    }

    /// The kubeconfig of a service account.
    ///
    /// # Panics
    /// When there is no such account.
    pub async fn account_kubeconfig(&self, namespace: &str, account: &str) -> Kubeconfig {
        self.kubeconfig(namespace, account, None).await
    }

    /// The kubeconfig of a pod: of its service account, with a token that is bound to it, as kubelet makes it.
    ///
    /// # Panics
    /// When there is no such account or pod.
    pub async fn pod_kubeconfig(&self, pod: &TestPod) -> Kubeconfig {
        let bound = BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(pod.name.clone()),
            uid: Some(pod.uid.clone()),
        };
        self.kubeconfig(&pod.namespace, &pod.service_account, Some(bound)).await
    }

    async fn kubeconfig(
        &self,
        namespace: &str,
        account: &str,
        bound_object_ref: Option<BoundObjectReference>,
    ) -> Kubeconfig {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().clone(), namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(24 * 3600),
                bound_object_ref,
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await;
        let token = answer.expect("a token").status.expect("a token's status").token;
        self.api_server.admin().of(&token.expect("a token in the status"), namespace)
    }

    /// The kubeconfig of coffer-csi, with the rights that are shipped and no more.
    pub async fn coffer_kubeconfig(&self) -> Kubeconfig {
        self.account_kubeconfig(COFFER_NAMESPACE, "coffer-csi").await
    }

    pub(crate) fn driver_kubeconfig(&self) -> &std::path::Path {
        &self.driver_kubeconfig
    }

    /// Prints the ends of the servers' logs.
    pub fn show_logs(&self) {
        self.etcd.process().show_log();
        self.api_server.show_log();
        if let Some(controllers) = &self.controllers {
            controllers.process().show_log();
        }
    }
}

/// The RBAC manifest that Coffer ships for its node agent.
pub fn shipped_rbac() -> PathBuf {
    shipped_folder().join("csi-rbac.yaml")
}

async fn install(kubectl: &Kubectl, client: &Client, tokens: TokenDelivery) {
    // Both generations run as one account here; 1.5's manifests are 1.6's and two more for its own rotation.
    let (old, new) = (DriverGeneration::V1_5.manifests(), DriverGeneration::V1_6.manifests());
    let manifests = [
        new.join("secrets-store.csi.x-k8s.io_secretproviderclasses.yaml"),
        new.join("secrets-store.csi.x-k8s.io_secretproviderclasspodstatuses.yaml"),
        new.join("csidriver.yaml"),
        new.join("rbac-secretproviderclass.yaml"),
        new.join("rbac-secretprovidersyncing.yaml"),
        old.join("rbac-secretproviderrotation.yaml"),
        old.join("rbac-secretprovidertokenrequest.yaml"),
        shipped_rbac(),
    ];
    create_namespace(client, COFFER_NAMESPACE).await;
    kubectl.apply(manifests).await;
    request_tokens(client, tokens).await;
    let established = ["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"];
    kubectl.run(established).await;
}

async fn request_tokens(client: &Client, tokens: TokenDelivery) {
    if tokens == TokenDelivery::NotRequested {
        return;
    }
    let spec = json!({
        "tokenRequests": [{ "audience": "vault" }],
        "serviceAccountTokenInSecrets": tokens == TokenDelivery::InSecrets,
    });
    let patch: Patch<Value> = Patch::Merge(json!({ "spec": spec }));
    let drivers: Api<CSIDriver> = Api::all(client.clone());
    let patched = drivers.patch(DRIVER_NAME, &PatchParams::default(), &patch).await;
    patched.expect("the CSIDriver object takes tokenRequests");
}

async fn create_namespace(client: &Client, name: &str) {
    let mut namespace = NamespaceObject::default();
    namespace.metadata.name = Some(name.to_owned());
    let namespaces: Api<NamespaceObject> = Api::all(client.clone());
    let created = namespaces.create(&PostParams::default(), &namespace).await;
    created.unwrap_or_else(|e| panic!("no namespace {name}: {e}"));
}
