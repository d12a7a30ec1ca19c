//! All servers of a soak, and what is known of the run so far.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::time::Instant;

use super::agent_log::AgentLog;
use super::breach::{Breach, BreachLog};
use super::database::DatabaseView;
use super::draw::TENANTS;
use super::fault_log::FaultLog;
use super::figures::AgentSample;
use super::judge::EndCounts;
use super::node::{self, SoakAgent, SoakDriver};
use super::pods::PodTable;
use super::values::{SecretHistory, data};
use crate::kubernetes::{Cluster, ClusterOptions, Kubelet, MountDir, Namespace};
use crate::openbao::OpenBao;
use crate::openbao_durable::DurableOpenBao;
use crate::postgres::{LeaseTtls, Postgres};
use crate::relay::Relay;

/// Leases that must be renewed again and again; those of every other tenant.
const SHORT: LeaseTtls<'static> = LeaseTtls { ttl: "2m", max_ttl: "24h" };

/// Leases that outlive the quiet time, so that a forgotten one is seen.
const LONG: LeaseTtls<'static> = LeaseTtls { ttl: "1h", max_ttl: "24h" };

/// Everything that runs. Fields are dropped in this order: when the mounts are undone, nothing
/// mounts any more.
pub(super) struct SoakWorld {
    pub(super) agent: tokio::sync::Mutex<SoakAgent>,
    pub(super) driver: tokio::sync::Mutex<SoakDriver>,
    pub(super) kubelet: Kubelet,
    pub(super) pods: PodTable,
    pub(super) tenants: Vec<SoakTenant>,
    /// Between the agent and Vault.
    pub(super) relay: Relay,
    /// Who writes to the lock has Vault stopped.
    pub(super) bao: RwLock<DurableOpenBao>,
    pub(super) postgres: tokio::sync::Mutex<Postgres>,
    pub(super) database: DatabaseView,
    pub(super) cluster: Cluster,
    _dir: MountDir,
    start: OnceLock<Instant>,
    ledger: Mutex<Ledger>,
}

/// What is known of the run.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) faults: FaultLog,
    pub(super) breaches: BreachLog,
    pub(super) log: AgentLog,
    pub(super) samples: Vec<AgentSample>,
    /// Requests that the agent has made to Vault: when it was asked, and how many since the time
    /// before.
    pub(super) requests: Vec<(Duration, f64)>,
    /// How long Vault has had another value than the oldest of all files.
    pub(super) staleness: Vec<(Duration, Duration)>,
    /// When a publish failed.
    pub(super) refused: Vec<Duration>,
    /// How many publishes succeeded.
    pub(super) published: usize,
    /// When each user was first seen in PostgreSQL.
    pub(super) users: BTreeMap<String, Duration>,
    /// How often files, users and logins were judged.
    pub(super) looks: usize,
    pub(super) logins: usize,
    pub(super) end: EndCounts,
}

/// A namespace with its role, its secret and its classes.
pub(super) struct SoakTenant {
    pub(super) namespace: Namespace,
    pub(super) history: Mutex<SecretHistory>,
    /// Held by who writes the secret.
    turn: tokio::sync::Mutex<()>,
    written: AtomicUsize,
}

impl SoakWorld {
    /// Starts all servers, with the tenants and without pods.
    pub(super) async fn start() -> Self {
        let servers = tokio::join!(
            Cluster::start(ClusterOptions::default()),
            DurableOpenBao::start(),
            Postgres::start()
        );
        let (cluster, bao, postgres) = servers;
        bao.server().kubernetes_login("kubernetes", &cluster).await;
        postgres.connect(bao.server()).await;
        authority(bao.server()).await;
        let relay = Relay::start(bao.server().address()).await;
        let mut tenants = Vec::new();
        for number in 0..TENANTS {
            tenants.push(SoakTenant::new(&cluster, bao.server(), number).await);
        }
        let (agent, driver, kubelet, dir) = node::start(&cluster, relay.address()).await;
        Self {
            agent: tokio::sync::Mutex::new(agent),
            driver: tokio::sync::Mutex::new(driver),
            kubelet,
            pods: PodTable::default(),
            tenants,
            relay,
            database: DatabaseView::new(postgres.port()),
            bao: RwLock::new(bao),
            postgres: tokio::sync::Mutex::new(postgres),
            cluster,
            _dir: dir,
            start: OnceLock::new(),
            ledger: Mutex::new(Ledger::default()),
        }
    }

    /// Begins to count the time.
    pub(super) fn begin(&self) {
        self.start.get_or_init(Instant::now);
    }

    /// Returns the time since the begin.
    pub(super) fn now(&self) -> Duration {
        self.start.get().map_or(Duration::ZERO, Instant::elapsed)
    }

    /// Waits for a time since the begin.
    pub(super) async fn until(&self, at: Duration) {
        tokio::time::sleep(at.saturating_sub(self.now())).await;
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what did not hold, and prints what is new.
    pub(super) fn note(&self, breaches: Vec<Breach>) {
        let (now, mut ledger) = (self.now(), self.ledger());
        let faults = ledger.faults.on(now, Duration::from_mins(1));
        for breach in breaches {
            if ledger.breaches.add(now, breach.clone(), &faults) {
                eprintln!("breach at {} s: {breach:?}, faults: {faults:?}", now.as_secs());
            }
        }
    }

    /// Reads what the agent has logged.
    pub(super) fn read_log(&self, agent: &mut SoakAgent) {
        let now = self.now();
        let breaches = {
            let ledger = &mut *self.ledger();
            agent.read_log(&mut ledger.log, now, &ledger.faults)
        };
        self.note(breaches);
    }

    /// Writes a new value into a tenant's secret.
    pub(super) async fn write_secret(&self, tenant: usize) {
        let tenant = &self.tenants[tenant];
        let _turn = tenant.turn.lock().await;
        let bao = self.bao.read().await;
        if let Some(index) = tenant.write(bao.server()).await {
            tenant.history().confirm(index, self.now());
        }
    }

    /// Counts what Vault and PostgreSQL have, for the end; nothing if one of them does not answer.
    pub(super) async fn count(&self) -> Option<EndCounts> {
        let users = self.database.users().await?;
        let bao = self.bao.read().await;
        let mut leases = 0;
        for tenant in &self.tenants {
            leases +=
                leases_below(bao.server(), &format!("database/creds/{}", tenant.namespace.name())).await;
        }
        let tokens = leases_below(bao.server(), "auth/kubernetes/login").await;
        let held = self.pods.users();
        let ledger = self.ledger();
        let beside = users.iter().filter(|user| !held.contains(*user));
        let unleased = beside.filter_map(|user| ledger.users.get(user));
        let unleased = unleased.filter(|seen| ledger.cut_an_issue(**seen)).count();
        Some(EndCounts {
            pods: held.len(),
            leases,
            users: users.len(),
            lost: ledger.log.lost,
            unleased,
            tokens,
        })
    }
}

impl Ledger {
    /// Returns whether a fault kept Vault from storing the lease of a user that was first seen then.
    fn cut_an_issue(&self, seen: Duration) -> bool {
        const CUTTING: [&str; 4] =
            ["vault restarted", "vault sealed", "postgresql restarted", "connections refused"];
        // Users are looked at every few seconds.
        self.faults.on(seen, Duration::from_secs(10)).iter().any(|name| CUTTING.contains(name))
    }
}

impl SoakTenant {
    async fn new(cluster: &Cluster, bao: &OpenBao, number: usize) -> Self {
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

    /// Writes a new value, and returns its place in the history if Vault has taken it.
    async fn write(&self, bao: &OpenBao) -> Option<usize> {
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
async fn authority(bao: &OpenBao) {
    bao.mount_engine("pki", "pki", json!({})).await;
    let root = json!({ "common_name": "soak", "ttl": "700h", "key_type": "ec", "key_bits": 256 });
    bao.admin(Method::POST, "pki/root/generate/internal", root).await;
}

/// Returns the number of leases directly below a path.
async fn leases_below(bao: &OpenBao, path: &str) -> usize {
    let list = Method::from_bytes(b"LIST").expect("a method");
    let found = bao.try_admin(list, &format!("sys/leases/lookup/{path}"), &Value::Null).await;
    found.and_then(|found| found["data"]["keys"].as_array().map(Vec::len)).unwrap_or(0)
}
