//! A namespace, and the objects in it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{self as core, Secret, ServiceAccount};
use kube::api::{ApiResource, DeleteParams, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::node::CsiNode;
use super::{DRIVER_NAME, events};
use crate::pod::TestPod;
use crate::wait::until;

/// A namespace of one test.
#[derive(Clone)]
pub struct Namespace {
    name: String,
    client: Client,
}

impl Namespace {
    /// Returns a namespace that exists already.
    pub fn existing(client: &Client, name: &str) -> Self {
        Self { name: name.to_owned(), client: client.clone() }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Creates a service account.
    pub async fn account(&self, name: &str) {
        let account = json!({ "metadata": { "name": name } });
        create(&self.api::<ServiceAccount>(), account).await;
    }

    /// Creates a SecretProviderClass of provider `vault` with these parameters.
    pub async fn class(&self, name: &str, parameters: Value) {
        self.class_of(name, json!({ "provider": "vault", "parameters": parameters })).await;
    }

    /// Creates a SecretProviderClass.
    ///
    /// # Panics
    /// If kube-apiserver refuses it.
    pub async fn class_of(&self, name: &str, spec: Value) {
        let created = self.try_class_of(name, spec).await;
        created.unwrap_or_else(|e| panic!("kube-apiserver refuses the class {name}: {e}"));
    }

    /// Does the same where there may be a class of that name.
    ///
    /// # Errors
    /// kube-apiserver's refusal.
    pub async fn try_class_of(&self, name: &str, spec: Value) -> Result<(), kube::Error> {
        let class = DynamicObject::new(name, &class_kind()).data(json!({ "spec": spec }));
        let classes: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.name, &class_kind());
        classes.create(&PostParams::default(), &class).await.map(drop)
    }

    /// Returns a class's `objects`: files with one key each of the secret
    /// `secret/NAMESPACE/<secret>`.
    pub fn objects(&self, secret: &str, files: &[(&str, &str)]) -> String {
        let object = |(file, key): &(&str, &str)| {
            json!({
                "objectName": file,
                "secretPath": format!("secret/data/{}/{secret}", self.name),
                "secretKey": key,
            })
        };
        // JSON is also YAML.
        Value::from_iter(files.iter().map(object)).to_string()
    }

    /// Creates a pod of that service account on that node, with a volume `secrets` of that class.
    pub async fn pod(&self, node: &CsiNode, account: &str, class: &str) -> TestPod {
        self.pod_on(node.name(), account, class).await
    }

    /// Does the same as [`Self::pod`] for a node's name alone.
    pub async fn pod_on(&self, node: &str, account: &str, class: &str) -> TestPod {
        self.make_pod(TestPod::new(&self.name, account), node, class).await
    }

    /// Creates a pod of that name, whose uid kube-apiserver assigns.
    pub async fn make_pod(&self, pod: TestPod, node: &str, class: &str) -> TestPod {
        let volume = json!({
            "name": "secrets",
            "csi": {
                "driver": DRIVER_NAME,
                "readOnly": true,
                "volumeAttributes": { "secretProviderClass": class },
            },
        });
        let object = json!({
            "metadata": { "name": pod.name },
            "spec": {
                "nodeName": node,
                "serviceAccountName": pod.service_account,
                "containers": [{ "name": "app", "image": "app" }],
                "volumes": [volume],
            },
        });
        let made: core::Pod = create(&self.api(), object).await;
        TestPod { uid: made.metadata.uid.expect("a uid"), ..pod }
    }

    /// Deletes a pod at once.
    ///
    /// # Panics
    /// If there is no such pod.
    pub async fn delete_pod(&self, pod: &TestPod) {
        let at_once = DeleteParams::default().grace_period(0);
        let deleted = self.api::<core::Pod>().delete(&pod.name, &at_once).await;
        deleted.expect("the pod is deleted");
    }

    /// Returns the versions in the pod's SecretProviderClassPodStatus, by object id; nothing if it
    /// has none.
    ///
    /// # Panics
    /// If the status cannot be read.
    pub async fn versions(&self, pod: &TestPod, class: &str) -> Option<BTreeMap<String, String>> {
        let status = self.status(pod, class).await?;
        let objects = status.data["status"]["objects"].as_array().expect("objects");
        let text = |object: &Value, field: &str| object[field].as_str().expect("text").to_owned();
        Some(objects.iter().map(|object| (text(object, "id"), text(object, "version"))).collect())
    }

    /// Returns the pod's SecretProviderClassPodStatus, if it has one.
    ///
    /// # Panics
    /// If the status cannot be read.
    pub async fn status(&self, pod: &TestPod, class: &str) -> Option<DynamicObject> {
        let kind = resource("SecretProviderClassPodStatus", "secretproviderclasspodstatuses");
        let statuses: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.name, &kind);
        let name = format!("{}-{}-{class}", pod.name, self.name);
        statuses.get_opt(&name).await.expect("kube-apiserver answers")
    }

    /// Returns a core Secret's values as text, if there is one.
    ///
    /// # Panics
    /// If the Secret cannot be read.
    pub async fn secret(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let secret = self.api::<Secret>().get_opt(name).await.expect("kube-apiserver answers")?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let data = secret.data.unwrap_or_default().into_iter();
        Some(data.map(|(key, value)| (key, text(value.0))).collect())
    }

    /// Waits for an event of that pod with that reason, and returns its message.
    pub async fn event(&self, pod: &TestPod, reason: &str) -> String {
        until(&format!("an event {reason} of {}", pod.name), async || {
            events::messages(&self.client, pod, reason).await.pop()
        })
        .await
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }
}

async fn create<K>(api: &Api<K>, object: Value) -> K
where
    K: Clone + std::fmt::Debug + DeserializeOwned + Serialize,
{
    let object = serde_json::from_value(object).expect("an object of that kind");
    let created = api.create(&PostParams::default(), &object).await;
    created.unwrap_or_else(|e| panic!("kube-apiserver refuses {object:?}: {e}"))
}

fn class_kind() -> ApiResource {
    resource("SecretProviderClass", "secretproviderclasses")
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    let kind = GroupVersionKind::gvk("secrets-store.csi.x-k8s.io", "v1", kind);
    ApiResource::from_gvk_with_plural(&kind, plural)
}
