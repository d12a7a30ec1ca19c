//! A cluster with everything, watched by Prometheus, and one fault for each alert.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kubernetes::aggregated::{ApiSetup, HOST, READ_AS_APP};
use crate::kubernetes::{
    Cluster, ClusterOptions, ClusterWithVault, LeaseNode, Namespace, objects, render_monitoring,
};
use crate::monitoring::faults::Fault;
use crate::monitoring::load::{BackgroundLoad, RepeatedMount};
use crate::monitoring::prometheus::{FiringAlert, Prometheus, ScrapeJob, TimeSeries};
use crate::monitoring::rules::AlertRules;
use crate::mount::MountCall;
use crate::openbao::OpenBao;
use crate::pod::TestPod;
use crate::postgres::{LeaseTtls, Postgres};
use crate::suite::Servers;
use crate::wait::until;

/// A lease whose renewal a test can wait for.
const LEASE: LeaseTtls<'static> = LeaseTtls { ttl: "12s", max_ttl: "1h" };

/// The agent's limit of memory, under which [`LARGE`] is too much for one namespace.
const MEMORY: usize = 16 << 20;

/// The size of each of four secrets.
const LARGE: usize = 1 << 20;

/// A policy that allows everything.
const POLICY: &str = "rules: []\ndefault: allow\n";

/// Two nodes and an API server with their Vault, and a Prometheus that scrapes them.
pub struct FaultRun {
    /// Prometheus, with the [shortened](AlertRules::shortened) rules.
    pub prometheus: Prometheus,
    repeated: Vec<RepeatedMount>,
    _load: BackgroundLoad,
    nodes: Vec<LeaseNode>,
    api: ApiSetup,
    postgres: Postgres,
    tenant: Namespace,
    /// The pod with a lease, whose token may do nothing but read.
    bound: TestPod,
    dir: TempDir,
    began: f64,
}

impl FaultRun {
    /// Starts everything, with a pod that has a lease, and a pod whose files are rotated.
    pub async fn start() -> Self {
        let with_vault = ClusterWithVault::without_nodes(ClusterOptions::default());
        let ((cluster, bao), postgres) = tokio::join!(with_vault, Postgres::start());
        postgres.connect(&bao).await;
        let api = ApiSetup::between(cluster, bao).await;
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join("policy.yaml"), POLICY).expect("write the policy");
        let nodes = nodes(&api, &dir).await;
        let tenant = api.annotated_namespace("team-a").await;
        let missing = tenant.objects("none", &[("user", "user")]);
        tenant.class("missing", json!({ "roleName": tenant.name(), "objects": missing })).await;
        api.annotate(&tenant, "missing", READ_AS_APP).await;
        prepare(&api.bao, tenant.name()).await;
        let rotated = tenant.pod_on("node-1", "app", "db").await;
        let bound = tenant.pod_on("node-1", "app", "database").await;

        let call = call(&rotated, "db", &tenant.objects("db", &[("user", "user")]));
        let load = BackgroundLoad::start(&nodes[0], &call, &api, &tenant);
        let prometheus = Prometheus::start(&jobs(&api, &nodes, &dir).await, &AlertRules::shortened()).await;
        let repeated = Vec::new();
        let began = now();
        Self { prometheus, repeated, _load: load, nodes, api, postgres, tenant, bound, dir, began }
    }

    /// Makes a fault, and returns its alert for the class that suffers as soon as it fires.
    pub async fn alert(&mut self, fault: Fault) -> FiringAlert {
        self.make(fault).await;
        until(fault.alert(), async || {
            let mut firing = self.prometheus.firing().await.into_iter();
            firing.find(|alert| {
                let class = alert.labels.get("class").map(String::as_str);
                alert.labels["alertname"] == fault.alert() && class == fault.class()
            })
        })
        .await
    }

    /// Returns the namespace that suffers.
    pub fn tenant(&self) -> &str {
        self.tenant.name()
    }

    /// Returns the result of a query for the time since the start.
    pub async fn query(&self, expression: &str) -> Vec<TimeSeries> {
        self.prometheus.query_range(expression, self.began, now(), 1.0).await
    }

    /// Returns the time of the start, in seconds since 1970.
    pub fn began(&self) -> f64 {
        self.began
    }

    /// Returns the seconds since the start.
    pub fn seconds(&self) -> f64 {
        now() - self.began
    }

    async fn make(&mut self, fault: Fault) {
        let (bao, name) = (&self.api.bao, self.tenant.name().to_owned());
        match fault {
            Fault::CredentialNotRenewed => {
                let objects = json!([{ "objectName": "user", "secretPath": format!("database/creds/{name}"), "secretKey": "username" }]);
                let call = call(&self.bound, "database", &objects.to_string()).param("roleName", "bound");
                self.nodes[0].mount(&call).await;
            }
            Fault::RevocationRefused => self.tenant.delete_pod(&self.bound).await,
            Fault::PolicyBroken => {
                fs::write(self.dir.path().join("policy.yaml"), "rules: [{").expect("write the policy");
            }
            Fault::SecretMissing => {
                let objects = self.tenant.objects("none", &[("user", "user")]);
                self.repeat(0, "missing", &objects, &name).await;
            }
            Fault::SecretDeleted => {
                bao.kv_put(&format!("{name}/old"), json!({ "user": "jo" })).await;
                let objects = self.tenant.objects("old", &[("user", "user")]);
                let pod = self.tenant.pod_on("node-1", "app", "deleted").await;
                let call = call(&pod, "deleted", &objects);
                self.nodes[0].mount(&call).await;
                bao.kv_delete(&format!("{name}/old")).await;
                self.repeated.push(RepeatedMount::start(&self.nodes[0], &call));
            }
            Fault::RoleMissing => {
                let objects = self.tenant.objects("db", &[("user", "user")]);
                self.repeat(0, "no-role", &objects, "none").await;
            }
            Fault::SecretsTooLarge => {
                let objects = large(&self.tenant, bao).await;
                self.repeat(1, "large", &objects, &name).await;
            }
            Fault::VaultSealed => bao.seal().await,
            Fault::ApiServerEnded => self.api.server.kill(),
            Fault::AgentEnded => self.nodes[1].csi.kill(),
        }
    }

    /// Lets a new pod on a node mount again and again.
    async fn repeat(&mut self, node: usize, class: &str, objects: &str, role: &str) {
        let node = &self.nodes[node];
        let pod = self.tenant.pod_on(node.name(), "app", class).await;
        let call = call(&pod, class, objects).param("roleName", role);
        self.repeated.push(RepeatedMount::start(node, &call));
    }
}

impl Servers for FaultRun {
    fn show_logs(&self) {
        self.api.show_logs();
        self.nodes.iter().for_each(|node| node.csi.process().show_log());
        self.postgres.process().show_log();
        self.prometheus.process().show_log();
    }
}

/// Starts two nodes. The second one's agent has little memory.
async fn nodes(api: &ApiSetup, dir: &TempDir) -> Vec<LeaseNode> {
    let policy = format!("-policy-file={}", dir.path().join("policy.yaml").display());
    let (address, limit) = (api.bao.address(), format!("-memory-limit={MEMORY}"));
    let (few, all): (&[&str], &[&str]) = (&[&policy], &[&policy, &limit]);
    let start = |name, flags| LeaseNode::on(&api.cluster, name, address, flags);
    let (first, second) = tokio::join!(start("node-1", few), start("node-2", all));
    vec![first, second]
}

/// Lets the account of a namespace have leases as role `bound`, whose tokens may neither renew
/// anything nor revoke themselves.
async fn prepare(bao: &OpenBao, namespace: &str) {
    Postgres::role(bao, namespace, LEASE).await;
    let rules = format!("path \"database/creds/{namespace}\" {{ capabilities = [\"read\"] }}");
    bao.policy("bound", &rules).await;
    let role = json!({
        "bound_service_account_names": ["app"],
        "bound_service_account_namespaces": [namespace],
        "audience": "vault",
        "token_policies": ["bound"],
        "token_no_default_policy": true,
        "token_ttl": "1h",
    });
    bao.admin(Method::POST, "auth/kubernetes/role/bound", role).await;
}

/// Writes secrets that one namespace may not hold together, and returns the objects that read them.
async fn large(namespace: &Namespace, bao: &OpenBao) -> String {
    let secrets = ["large-1", "large-2", "large-3", "large-4"];
    let mut objects = Vec::new();
    for secret in secrets {
        bao.kv_put(&format!("{}/{secret}", namespace.name()), json!({ "user": "x".repeat(LARGE) })).await;
        let path = format!("secret/data/{}/{secret}", namespace.name());
        objects.push(json!({ "objectName": secret, "secretPath": path, "secretKey": "user" }));
    }
    Value::from(objects).to_string()
}

/// Returns a call that reads as the namespace's own role. It carries no token: the agent requests
/// one from kube-apiserver.
fn call(pod: &TestPod, class: &str, objects: &str) -> MountCall {
    MountCall::new(pod)
        .param("secretProviderClass", class)
        .param("roleName", &pod.namespace)
        .param("audience", "vault")
        .objects(objects)
}

/// Returns the jobs with the settings of the shipped ServiceMonitors, and one of kube-apiserver.
async fn jobs(api: &ApiSetup, nodes: &[LeaseNode], dir: &TempDir) -> Vec<ScrapeJob> {
    let monitors = render_monitoring().remove("service-monitors.yaml").expect("ServiceMonitors");
    let monitors = objects(&monitors);
    let settings = |name: &str| {
        let monitor = monitors
            .iter()
            .find(|object| object["kind"] == "ServiceMonitor" && object["metadata"]["name"] == name);
        let endpoint = &monitor.expect("a ServiceMonitor")["spec"]["endpoints"][0];
        let job = endpoint["relabelings"][0].clone();
        assert_eq!(job["targetLabel"], "job");
        json!({ "job_name": job["replacement"], "honor_labels": endpoint["honorLabels"], "metrics_path": endpoint["path"] })
    };
    let file = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, content).expect("write a file");
        path
    };
    // These labels are those of the target, as Prometheus Operator sets them.
    let labels =
        |namespace: &str, pod: &str, node: &str| json!({ "namespace": namespace, "pod": pod, "node": node });
    let agents = nodes.iter().map(|node| {
        let pod = format!("coffer-csi-{}", node.name());
        (node.csi.health_address().to_owned(), labels("coffer", &pod, node.name()))
    });

    let mut api_server = settings("coffer-api-server");
    api_server["scheme"] = json!("https");
    let ca = file("serving-ca.crt", &api.serving_ca().await);
    api_server["tls_config"] = json!({ "ca_file": ca, "server_name": HOST });
    api_server["authorization"] = json!({ "credentials": reader(&api.cluster).await });
    let target = format!("127.0.0.1:{}", api.server.port());

    let admin = api.cluster.api_server().admin();
    let ca = file("kube-ca.crt", admin.authority.as_bytes());
    let kube_apiserver = json!({
        "job_name": "apiserver", "scheme": "https", "tls_config": { "ca_file": ca },
        // It has thousands of metrics, and takes its time.
        "scrape_interval": "5s", "scrape_timeout": "5s",
        "authorization": { "credentials": admin.token },
        "metric_relabel_configs": [
            { "source_labels": ["__name__"], "regex": "aggregator_.+", "action": "keep" },
        ],
    });
    vec![
        ScrapeJob { settings: settings("coffer-csi"), targets: agents.collect() },
        ScrapeJob {
            settings: api_server,
            targets: vec![(target, labels("coffer-api", "coffer-api-server-1", "node-1"))],
        },
        ScrapeJob {
            settings: kube_apiserver,
            targets: vec![(admin.server.replace("https://", ""), json!({}))],
        },
    ]
}

/// Returns the token of an account that may read metrics, as that of Prometheus may.
async fn reader(cluster: &Cluster) -> String {
    let kubectl = cluster.kubectl();
    kubectl.run(["create", "serviceaccount", "prometheus"]).await;
    kubectl
        .run(["create", "clusterrole", "metrics-reader", "--verb=get", "--non-resource-url=/metrics"])
        .await;
    let account = "--serviceaccount=default:prometheus";
    kubectl
        .run(["create", "clusterrolebinding", "metrics-reader", "--clusterrole=metrics-reader", account])
        .await;
    cluster.account_kubeconfig("default", "prometheus").await.token
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs_f64()
}
