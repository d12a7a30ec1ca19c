//! What can be seen of a cluster. Nothing is changed in it.

use std::collections::BTreeSet;

use coffer_kubernetes::{CALL_TIMEOUT, CallError, KubeConnection, Kubernetes, call};
use serde_json::Value;
use thiserror::Error;

use super::object::{items, name, namespace, text};
use super::workload::Workload;
use crate::object_list::{ListError, list};

/// The name of the driver.
pub(super) const DRIVER: &str = "secrets-store.csi.k8s.io";

/// The name of the APIService.
pub(super) const API_SERVICE: &str = "v1alpha1.custom.secrets.k8s.io";

/// What was seen, or why it cannot be.
pub(super) type Seen<T> = Result<T, Unseen>;

/// Why something cannot be seen.
#[derive(Debug, Clone, Error)]
pub(super) enum Unseen {
    /// The kubeconfig's user may not see it.
    #[error("the kubeconfig's user lacks the right to {0}")]
    Right(String),
    /// kube-apiserver did not answer, or not as it should.
    #[error("cannot {what}: {cause}")]
    Failed {
        /// What was asked for.
        what: String,
        /// The failure.
        cause: String,
    },
}

/// A cluster, as far as the kubeconfig's user sees it.
pub(super) struct ClusterView {
    connection: KubeConnection,
    /// For reviews of access.
    pub(super) reviewer: Kubernetes,
    /// The CSIDriver object.
    pub(super) csi_driver: Seen<Option<Value>>,
    /// The nodes with Linux.
    pub(super) nodes: Seen<Vec<Value>>,
    /// The names of the nodes on which the driver is registered.
    pub(super) registered: Seen<BTreeSet<String>>,
    /// The SecretProviderClasses; none if the cluster does not know the kind.
    pub(super) classes: Seen<Option<Vec<Value>>>,
    /// The APIService.
    pub(super) api_service: Seen<Option<Value>>,
    /// Whether Coffer's DaemonSets and Deployments are seen.
    pub(super) workloads: Seen<()>,
    /// Whether those of all namespaces are seen.
    pub(super) everywhere: Seen<()>,
    /// Whether Coffer's programs are looked for in some namespaces only.
    pub(super) is_narrowed: bool,
    /// The DaemonSets of the driver.
    pub(super) drivers: Vec<Workload>,
    /// The DaemonSets of coffer-csi.
    pub(super) agents: Vec<Workload>,
    /// The Deployments of coffer-api-server.
    pub(super) api_servers: Vec<Workload>,
    /// All other DaemonSets.
    pub(super) others: Vec<Workload>,
}

impl ClusterView {
    /// Looks at a cluster. `namespaces` are those of Coffer's programs; none is all.
    pub(super) async fn of(connection: KubeConnection, namespaces: &[String]) -> Self {
        let classes = "/apis/secrets-store.csi.x-k8s.io/v1";
        let mut view = Self {
            reviewer: Kubernetes::from(connection.clone()),
            csi_driver: get(
                &connection,
                &format!("/apis/storage.k8s.io/v1/csidrivers/{DRIVER}"),
                "csidrivers",
            )
            .await,
            nodes: all(&connection, "/api/v1", "nodes", None).await.map(with_linux),
            registered: all(&connection, "/apis/storage.k8s.io/v1", "csinodes", None).await.map(with_driver),
            classes: all_if_known(&connection, classes, "secretproviderclasses").await,
            api_service: get(
                &connection,
                &format!("/apis/apiregistration.k8s.io/v1/apiservices/{API_SERVICE}"),
                "apiservices",
            )
            .await,
            workloads: Ok(()),
            everywhere: Ok(()),
            is_narrowed: !namespaces.is_empty(),
            drivers: Vec::new(),
            agents: Vec::new(),
            api_servers: Vec::new(),
            others: Vec::new(),
            connection,
        };
        view.find_workloads(namespaces).await;
        view
    }

    /// Returns the pods of a namespace.
    pub(super) async fn pods(&self, namespace: &str) -> Seen<Vec<Value>> {
        all(&self.connection, "/api/v1", "pods", Some(namespace)).await
    }

    /// Returns the pods of all namespaces of workloads.
    pub(super) async fn pods_of(&self, workloads: &[Workload]) -> Seen<Vec<Value>> {
        let namespaces: BTreeSet<&str> = workloads.iter().map(Workload::namespace).collect();
        let mut pods = Vec::new();
        for namespace in namespaces {
            pods.extend(self.pods(namespace).await?);
        }
        Ok(pods)
    }

    /// Returns an object of a namespace of the core API, if it is there.
    pub(super) async fn core_object(
        &self,
        namespace: &str,
        resource: &str,
        name: &str,
    ) -> Seen<Option<Value>> {
        let path = format!("/api/v1/namespaces/{namespace}/{resource}/{name}");
        get(&self.connection, &path, &format!("{resource} of namespace {namespace}")).await
    }

    /// Returns the connection to kube-apiserver.
    pub(super) fn connection(&self) -> &KubeConnection {
        &self.connection
    }

    async fn find_workloads(&mut self, namespaces: &[String]) {
        for resource in ["daemonsets", "deployments"] {
            let mut seen = all(&self.connection, "/apis/apps/v1", resource, None).await;
            if let (Err(unseen), Ok(())) = (&seen, &self.everywhere) {
                self.everywhere = Err(unseen.clone());
            }
            if matches!(seen, Err(Unseen::Right(_))) && !namespaces.is_empty() {
                seen = self.in_namespaces(resource, namespaces).await;
            }
            match seen {
                Ok(found) => found.into_iter().for_each(|object| self.sort_in(resource, object, namespaces)),
                Err(unseen) if self.workloads.is_ok() => self.workloads = Err(unseen),
                Err(_) => {}
            }
        }
    }

    async fn in_namespaces(&self, resource: &str, namespaces: &[String]) -> Seen<Vec<Value>> {
        let mut found = Vec::new();
        for namespace in namespaces {
            found.extend(all(&self.connection, "/apis/apps/v1", resource, Some(namespace)).await?);
        }
        Ok(found)
    }

    fn sort_in(&mut self, resource: &'static str, object: Value, namespaces: &[String]) {
        let is_chosen = namespaces.is_empty() || namespaces.iter().any(|chosen| chosen == namespace(&object));
        let workload = Workload::new(resource.trim_end_matches('s'), object);
        match resource {
            "daemonsets" if workload.is_coffers() && is_chosen => self.agents.push(workload),
            "deployments" if workload.is_coffers() && is_chosen => self.api_servers.push(workload),
            "daemonsets" if workload.is_driver() => self.drivers.push(workload),
            "daemonsets" => self.others.push(workload),
            _ => {}
        }
    }
}

fn with_linux(nodes: Vec<Value>) -> Vec<Value> {
    // virtual nodes run no DaemonSets
    let is_virtual = |node: &Value| {
        let labels = &node["metadata"]["labels"];
        text(labels, "type") == "virtual-kubelet"
            || text(labels, "eks.amazonaws.com/compute-type") == "fargate"
    };
    let is_linux = |node: &Value| text(&node["metadata"]["labels"], "kubernetes.io/os") == "linux";
    nodes.into_iter().filter(|node| is_linux(node) && !is_virtual(node)).collect()
}

fn with_driver(csi_nodes: Vec<Value>) -> BTreeSet<String> {
    let has_driver =
        |node: &&Value| items(&node["spec"]["drivers"]).iter().any(|driver| text(driver, "name") == DRIVER);
    csi_nodes.iter().filter(has_driver).map(|node| name(node).to_owned()).collect()
}

async fn get(connection: &KubeConnection, path: &str, resource: &str) -> Seen<Option<Value>> {
    let what = format!("get {resource}");
    let request = http::Request::get(path).body(Vec::new());
    let request = request.map_err(|error| Unseen::Failed { what: what.clone(), cause: error.to_string() })?;
    match call(CALL_TIMEOUT, connection.client.request::<Value>(request)).await {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(unseen(what, &error)),
    }
}

async fn all_if_known(connection: &KubeConnection, api: &str, resource: &str) -> Seen<Option<Vec<Value>>> {
    match list(connection, api, resource, None).await {
        Ok(objects) => Ok(Some(objects)),
        Err(ListError::Call(error)) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(unlisted(resource, None, error)),
    }
}

async fn all(
    connection: &KubeConnection,
    api: &str,
    resource: &str,
    namespace: Option<&str>,
) -> Seen<Vec<Value>> {
    list(connection, api, resource, namespace).await.map_err(|error| unlisted(resource, namespace, error))
}

fn unlisted(resource: &str, namespace: Option<&str>, error: ListError) -> Unseen {
    let place = match namespace {
        Some(namespace) => format!("namespace {namespace}"),
        None => "the cluster".to_owned(),
    };
    let what = format!("list {resource} of {place}");
    match error {
        ListError::Call(error) => unseen(what, &error),
        error => Unseen::Failed { what, cause: error.to_string() },
    }
}

/// Returns why a call showed nothing.
pub(super) fn unseen(what: String, error: &CallError) -> Unseen {
    match error.status() {
        Some(403) => Unseen::Right(what),
        _ => Unseen::Failed { what, cause: error.to_string() },
    }
}
