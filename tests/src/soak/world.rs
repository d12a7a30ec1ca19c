//! All servers of a soak, and what is known of the run so far.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::sync::RwLock;
use tokio::time::Instant;

use super::breach::Breach;
use super::counts::EndCounts;
use super::database::DatabaseView;
use super::draw::TENANTS;
use super::judge::TOKEN_TTL;
use super::ledger::Ledger;
use super::node::{self, SoakAgent, SoakDriver};
use super::pods::PodTable;
use super::tenant::{SoakTenant, add_authority};
use crate::kubernetes::{Cluster, ClusterOptions, Kubelet, MountDir};
use crate::openbao::OpenBao;
use crate::openbao_durable::DurableOpenBao;
use crate::postgres::Postgres;
use crate::relay::Relay;

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
        add_authority(bao.server()).await;
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
        let _turn = tenant.turn().await;
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
            unused: ledger.log.unused,
            replaced: ledger.replaced.iter().filter(|at| **at + TOKEN_TTL >= self.now()).count(),
            unleased,
            tokens,
        })
    }
}

/// Returns the number of leases directly below a path.
async fn leases_below(bao: &OpenBao, path: &str) -> usize {
    let list = Method::from_bytes(b"LIST").expect("a method");
    let found = bao.try_admin(list, &format!("sys/leases/lookup/{path}"), &Value::Null).await;
    found.and_then(|found| found["data"]["keys"].as_array().map(Vec::len)).unwrap_or(0)
}
