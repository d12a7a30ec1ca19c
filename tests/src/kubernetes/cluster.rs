//! A cluster: kube-apiserver over etcd, with everything installed that the driver and Coffer need.

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

/// A cluster with the driver's CRDs, RBAC and CSIDriver object, and the shipped RBAC of Coffer. Its
/// nodes are [`CsiNode`](super::CsiNode)s.
pub struct Cluster {
    controllers: Option<ControllerManager>,
    api_server: ApiServer,
    etcd: Etcd,
    kubectl: Kubectl,
    driver_kubeconfig: PathBuf,
    _dir: TempDir,
}

/// How the driver passes pods' tokens to the provider, as set in the CSIDriver object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenDelivery {
    /// `tokenRequests` for audience `vault`: tokens are in the volume's attributes.
    #[default]
    InAttributes,
    /// `tokenRequests` with `serviceAccountTokenInSecrets`: tokens are in the volume's secrets.
    InSecrets,
    /// No `tokenRequests`, as upstream ships the object.
    NotRequested,
}

/// The options to start a cluster with.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClusterOptions {
    /// What the CSIDriver object asks for.
    pub tokens: TokenDelivery,
    /// Whether to start a controller manager.
    pub controllers: bool,
}

impl Cluster {
    /// Starts the cluster.
    ///
    /// # Panics
    /// If a server does not become ready.
    pub async fn start(options: ClusterOptions) -> Self {
        let etcd = Etcd::start().await;
        let api_server = ApiServer::start(&etcd).await;
        let admin = api_server.admin();
        let kubectl = Kubectl::new(&admin);
        install(&kubectl, api_server.client(), options.tokens).await;
        // After the CRDs: it would notice a kind that is added later only after half a minute.
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

    /// Returns etcd.
    pub fn etcd(&self) -> &Etcd {
        &self.etcd
    }

    /// Returns the controller manager, if there is one.
    pub fn controllers(&self) -> Option<&ControllerManager> {
        self.controllers.as_ref()
    }

    /// Returns kube-apiserver.
    pub fn api_server(&self) -> &ApiServer {
        &self.api_server
    }

    /// Returns a client of the administrator.
    pub fn client(&self) -> &Client {
        self.api_server.client()
    }

    /// Returns kubectl of the administrator.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// Creates a namespace with that name and a unique suffix.
    pub async fn namespace(&self, name: &str) -> Namespace {
        static MADE: AtomicU32 = AtomicU32::new(1);
        let name = format!("{name}-{}", MADE.fetch_add(1, Ordering::Relaxed));
        create_namespace(self.client(), &name).await;
        Namespace::existing(self.client(), &name)
    }

    /// Returns the kubeconfig of a service account.
    ///
    /// # Panics
    /// If there is no such account.
    pub async fn account_kubeconfig(&self, namespace: &str, account: &str) -> Kubeconfig {
        self.kubeconfig(namespace, account, None).await
    }

    /// Returns the kubeconfig of a pod: its service account, with a token bound to the pod, as
    /// kubelet requests it.
    ///
    /// # Panics
    /// If there is no such account or pod.
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

    /// Returns the kubeconfig of coffer-csi, with only the shipped rights.
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

/// Returns the path of the RBAC manifest that Coffer ships for coffer-csi.
pub fn shipped_rbac() -> PathBuf {
    shipped_folder().join("csi-rbac.yaml")
}

async fn install(kubectl: &Kubectl, client: &Client, tokens: TokenDelivery) {
    // Both generations run as one account here; the manifests of 1.5 are those of 1.6 and two more
    // for its own rotation.
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
