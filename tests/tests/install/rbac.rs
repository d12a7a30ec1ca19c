//! Every rule and binding of the shipped RBAC is needed: each verb and binding in turn is removed,
//! and an error must name it. The rules are read from the manifests, so a new one is tested at
//! once.

use std::fs;
use std::sync::Arc;

use coffer_tests::kubernetes::{
    COFFER_NAMESPACE, Cluster, ClusterOptions, InstalledApi, KubernetesRole, Namespace, TokenDelivery,
    installed_csi, objects, shipped_folder,
};
use coffer_tests::{Csi, MountCall, OpenBao, Servers, Suite, TestPod, until, until_true};
use serde_json::{Value, json};

const API_NAMESPACE: &str = "coffer-api";
const KEY_SECRET: &str = "vault-csi-provider-hmac-key";
const FILES: [&str; 2] = ["csi-rbac.yaml", "api-server-rbac.yaml"];

pub(crate) fn tests(suite: Suite<RbacSetup>) -> Suite<RbacSetup> {
    let suite = suite
        .test("with_all_rules_the_node_agent_works", |setup| async move {
            assert_eq!(setup.mount().await, None);
        })
        .test("with_all_rules_the_api_works", |setup| async move { setup.api_works().await });
    let removals = FILES.into_iter().flat_map(removals);
    removals.fold(suite, |suite, removal| suite.test(removal.name(), |setup| is_missed(setup, removal)))
}

/// A verb or binding that is removed, and what the error must name.
struct RemovedRule {
    object: Value,
    /// The object without the verb; `None` deletes the whole object.
    reduced: Option<Value>,
    verb: Option<String>,
    resource: String,
    /// The object that a rule is limited to.
    named: String,
    of_api: bool,
}

/// Returns each verb of each rule, and each binding.
fn removals(file: &str) -> Vec<RemovedRule> {
    let objects = objects(&fs::read_to_string(shipped_folder().join(file)).unwrap());
    let of_api = file.starts_with("api-server");
    let mut found = Vec::new();
    for object in &objects {
        for (number, rule) in object["rules"].as_array().into_iter().flatten().enumerate() {
            for (place, verb) in rule["verbs"].as_array().unwrap().iter().enumerate() {
                let mut reduced = object.clone();
                reduced["rules"][number]["verbs"].as_array_mut().unwrap().remove(place);
                // A rule without verbs is not valid.
                reduced["rules"].as_array_mut().unwrap().retain(|rule| rule["verbs"] != json!([]));
                let [resource] = rule["resources"].as_array().unwrap().as_slice() else {
                    panic!("one resource")
                };
                found.push(RemovedRule {
                    object: object.clone(),
                    reduced: Some(reduced),
                    verb: Some(verb.as_str().unwrap().to_owned()),
                    resource: resource.as_str().unwrap().to_owned(),
                    named: rule["resourceNames"][0].as_str().unwrap_or_default().to_owned(),
                    of_api,
                });
            }
        }
        if let Some(role) = object["roleRef"]["name"].as_str() {
            let resource = resource_of(role, &object["roleRef"]["kind"], &objects);
            found.push(RemovedRule {
                object: object.clone(),
                reduced: None,
                verb: None,
                resource,
                named: String::new(),
                of_api,
            });
        }
    }
    assert!(found.len() >= 5, "{file}");
    found
}

/// Returns a resource that cannot be reached without a binding to that role.
fn resource_of(role: &str, kind: &Value, objects: &[Value]) -> String {
    let known = [
        ("system:auth-delegator", "subjectaccessreviews"),
        ("extension-apiserver-authentication-reader", "extension-apiserver-authentication"),
    ];
    if let Some((_, resource)) = known.iter().find(|(name, _)| *name == role) {
        return (*resource).to_owned();
    }
    let own = objects.iter().find(|object| object["kind"] == *kind && object["metadata"]["name"] == role);
    own.unwrap()["rules"][0]["resources"][0].as_str().unwrap().to_owned()
}

impl RemovedRule {
    fn name(&self) -> String {
        let (kind, name) =
            (self.object["kind"].as_str().unwrap(), self.object["metadata"]["name"].as_str().unwrap());
        match &self.verb {
            Some(verb) => format!("without::{kind}::{name}::{verb}::{}/{}", self.resource, self.named),
            None => format!(
                "without::{kind}::{name}::{}",
                self.object["metadata"]["namespace"].as_str().unwrap_or("*")
            ),
        }
    }

    /// Returns whether a text has kube-apiserver's error for the missing right.
    fn is_named(&self, text: &str) -> bool {
        let resource = &self.resource;
        // A log may escape the quotes.
        text.replace('\\', "").lines().any(|line| match &self.verb {
            Some(verb) => {
                line.contains(&format!("cannot {verb} resource \"{resource}\"")) && line.contains(&self.named)
            }
            None => line.contains("cannot ") && line.contains(resource.as_str()),
        })
    }
}

async fn is_missed(setup: Arc<RbacSetup>, removal: RemovedRule) {
    setup.write(&removal.object, removal.reduced.as_ref()).await;
    // kube-apiserver applies the change only after a moment.
    if removal.of_api {
        let api = setup.start_api().await;
        until_true("an error that names the right", async || removal.is_named(&setup.said(&api).await)).await;
    } else {
        let complaint = until("an error that names the right", async || setup.mount().await).await;
        assert!(removal.is_named(&complaint), "{complaint}");
    }
    setup.write(&removal.object, Some(&removal.object)).await;
}

/// A cluster with everything that is shipped, a Vault, and a namespace that opted in, with a class,
/// a pod and a reader.
pub(crate) struct RbacSetup {
    cluster: Cluster,
    bao: OpenBao,
    namespace: Namespace,
    pod: TestPod,
    dir: tempfile::TempDir,
}

impl RbacSetup {
    pub(crate) async fn start() -> Self {
        let options = ClusterOptions { tokens: TokenDelivery::NotRequested, ..ClusterOptions::default() };
        let (cluster, bao) = tokio::join!(Cluster::start(options), OpenBao::start());
        bao.kubernetes_login("kubernetes", &cluster).await;
        let kubectl = cluster.kubectl();
        kubectl.run(["apply", "-k", &shipped_folder().display().to_string()]).await;

        let namespace = cluster.namespace("team").await;
        let name = namespace.name();
        namespace.account("app").await;
        let role = KubernetesRole {
            name: "app",
            account: "app",
            namespace: name,
            audience: Some("vault"),
            policy: "app",
        };
        bao.kubernetes_role("kubernetes", &role).await;
        bao.policy("app", &format!("path \"secret/data/{name}/*\" {{ capabilities = [\"read\"] }}")).await;
        bao.kv_put(&format!("{name}/db"), json!({ "k": "v" })).await;
        let objects = namespace.objects("db", &[("f", "k")]);
        namespace.class("db", json!({ "roleName": "app", "audience": "vault", "objects": objects })).await;
        let annotation = "custom.secrets.k8s.io/service-account=app";
        kubectl.run(["annotate", "secretproviderclass", "db", "-n", name, annotation]).await;
        for (role, subject) in [
            ("coffer-token-minter", "--serviceaccount=coffer-api:coffer-api-server"),
            ("coffer-secrets-reader", "--user=reader"),
        ] {
            let role = ["create", "rolebinding", role, "-n", name, &format!("--clusterrole={role}"), subject];
            kubectl.run(role).await;
        }
        let run = ["run", "app", "-n", name, "--image=app", "-o=jsonpath={.metadata.uid}"];
        let uid = kubectl
            .run(
                run.into_iter()
                    .chain([r#"--overrides={"spec":{"serviceAccountName":"app","nodeName":"node"}}"#]),
            )
            .await;
        let pod = TestPod { uid, name: "app".to_owned(), ..TestPod::new(name, "app") };
        Self { cluster, bao, namespace, pod, dir: tempfile::tempdir().unwrap() }
    }

    /// Applies `wanted` in place of the object, or deletes the object.
    async fn write(&self, object: &Value, wanted: Option<&Value>) {
        let file = self.dir.path().join("object.json");
        fs::write(&file, wanted.unwrap_or(object).to_string()).unwrap();
        let file = file.display().to_string();
        let kubectl = self.cluster.kubectl();
        match wanted {
            Some(_) => kubectl.run(["apply", "--filename", &file]).await,
            None => kubectl.run(["delete", "--filename", &file]).await,
        };
    }

    /// Mounts with a new coffer-csi, in a cluster without an HMAC key, for a pod without a token.
    /// Returns the error, or the agent's warning about the watch on pods or events, if any.
    async fn mount(&self) -> Option<String> {
        self.delete_secret(COFFER_NAMESPACE, KEY_SECRET).await;
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let csi =
            installed_csi(&self.cluster, COFFER_NAMESPACE, "coffer-csi", dir.path(), self.bao.address());
        let csi = csi.await.start().await;
        let call = MountCall::new(&self.pod).param("roleName", "app").param("audience", "vault");
        let mounted = csi.mount(&call.clone().objects(&self.objects("db"))).await;
        if let Err(refusal) = mounted {
            return Some(refusal.message);
        }
        let log = until("the watch on pods to begin or to fail", async || {
            Some(csi.log())
                .filter(|log| log.contains("pods are watched") || log.contains("cannot be watched"))
        })
        .await;
        if let Some(line) = log.lines().find(|line| line.contains("cannot be watched")) {
            return Some(line.to_owned());
        }
        self.write_events(&csi, &call).await;
        let log = csi.log();
        log.lines().find(|line| line.contains("events of pods")).map(str::to_owned)
    }

    /// Makes the agent create an event, and then count one more in its series.
    async fn write_events(&self, csi: &Csi, call: &MountCall) {
        let (good, bad) = (self.objects("db"), self.objects("nothing"));
        for (objects, written) in [(&bad, 1), (&good, 2), (&bad, 3)] {
            let mounted = csi.mount(&call.clone().objects(objects)).await;
            assert_eq!(mounted.is_ok(), objects == &good, "{mounted:?}");
            let done = until("the event to be written or refused", async || {
                let metrics = csi.metrics().await;
                let count = |outcome| metrics.sum("coffer_events_total", &[outcome]) as usize;
                let refused = count("outcome=\"refused\"") > 0;
                (refused || count("outcome=\"sent\"") >= written).then_some(refused)
            });
            if done.await {
                return;
            }
        }
    }

    fn objects(&self, secret: &str) -> String {
        self.namespace.objects(secret, &[("f", "k")])
    }

    async fn api_works(&self) {
        let api = self.start_api().await;
        let said = until("the reader to read", async || {
            let said = self.said(&api).await;
            said.contains("f: dg==").then_some(said)
        })
        .await;
        assert!(!said.contains("cannot "), "{said}");
    }

    /// Starts a new API server, in a cluster without an HMAC key and with an invalid serving
    /// certificate.
    async fn start_api(&self) -> InstalledApi {
        let kubectl = self.cluster.kubectl();
        self.delete_secret(API_NAMESPACE, KEY_SECRET).await;
        self.delete_secret(API_NAMESPACE, "coffer-api-server-tls").await;
        let broken = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": { "name": "coffer-api-server-tls", "namespace": API_NAMESPACE },
            "data": { "tls.crt": "", "tls.key": "" },
        });
        let file = self.dir.path().join("broken.json");
        fs::write(&file, broken.to_string()).unwrap();
        kubectl.run(["create", "--filename", &file.display().to_string()]).await;
        InstalledApi::start(&self.cluster, API_NAMESPACE, "coffer-api-server", self.bao.address()).await
    }

    /// Returns the server's log, and what a reader's kubectl prints.
    async fn said(&self, api: &InstalledApi) -> String {
        format!("{}\n{}", api.log(), self.read().await)
    }

    async fn read(&self) -> String {
        let (kubectl, name) = (self.cluster.kubectl(), self.namespace.name());
        let get = ["get", "vaultsecret", "db", "-n", name, "-o", "yaml", "--as=reader"];
        let list = ["get", "vaultsecret", "-n", name, "--as=reader"];
        let (one, all) = (kubectl.try_run(get).await, kubectl.try_run(list).await);
        [one.out, one.err, all.out, all.err].join(
            "
",
        )
    }

    async fn delete_secret(&self, namespace: &str, name: &str) {
        self.cluster.kubectl().run(["delete", "secret", "--ignore-not-found", "-n", namespace, name]).await;
    }
}

impl Servers for RbacSetup {
    fn show_logs(&self) {
        self.cluster.show_logs();
        self.bao.process().show_log();
    }
}
