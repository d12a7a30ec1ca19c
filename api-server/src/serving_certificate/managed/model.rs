//! A model of the certificates of two API servers: the real code over a kube-apiserver in memory,
//! against a client that trusts what the APIService trusts.

mod client;
mod step;

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use coffer_fake_kube::{FakeKube, FaultQueue};
use coffer_kubernetes::KubeConnection;
use data_encoding::BASE64;
use k8s_openapi::api::core::v1::Secret;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, proptest};
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use self::client::served_certificate;
use self::step::{ANOTHER_KEY, ReplicaStep, age, step};
use super::{CertificateSet, ManagedCertificate, store};

/// Cases of one run.
const CASES: u32 = 24;

const REPLICAS: usize = 2;

const SECRET: &str = "/api/v1/namespaces/coffer/secrets/coffer-api-server-tls";
const API_SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.custom.secrets.k8s.io";

/// Time without faults in which every replica checks its certificate at least twice.
const QUIET: Duration = Duration::from_secs(180);

const DAY: Duration = Duration::from_secs(86_400);

/// How far a clock that is wrong is ahead.
const WRONG_BY: i64 = 2 * 365 * 86_400;

/// The time of day as it is.
struct TrueTime {
    began: Instant,
    slept_hours: AtomicU64,
}

impl TrueTime {
    fn now(&self) -> SystemTime {
        let slept = Duration::from_secs(self.slept_hours.load(Ordering::Relaxed) * 3600);
        client::begin() + slept + self.began.elapsed()
    }
}

/// What new connections of a replica are served with; none before it serves.
type Served = Arc<Mutex<Option<Arc<ArcSwap<ServerConfig>>>>>;

struct ApiReplica {
    faults: FaultQueue,
    /// Seconds by which its clock is ahead.
    ahead: Arc<AtomicI64>,
    /// Whether it has been served with right clock's certificates since its clock was wrong.
    is_trustworthy: bool,
    served: Served,
    task: Option<JoinHandle<()>>,
}

struct ReplicaModel {
    server: FakeKube,
    time: Arc<TrueTime>,
    replicas: Vec<ApiReplica>,
    /// What was verified: bundle, configuration and hour.
    verified: HashSet<(String, usize, u64)>,
    /// Keeps the addresses of those configurations from being used again.
    configs: Vec<Arc<ServerConfig>>,
}

impl ReplicaModel {
    /// Starts with a Secret of this age in days, whose serving certificate is younger.
    fn new(age: Option<(u32, u32)>) -> Self {
        let server = FakeKube::default();
        let time = Arc::new(TrueTime { began: Instant::now(), slept_hours: AtomicU64::new(0) });
        let mut bundle = String::new();
        if let Some((age, serving_age)) = age {
            let certificates = aged(age, serving_age);
            bundle = certificates.bundle();
            let data = Some(store::write(&certificates));
            server.put(SECRET, serde_json::to_value(Secret { data, ..Secret::default() }).expect("JSON"));
        }
        server.put(API_SERVICE, json!({"metadata": {"name": "v1alpha1.custom.secrets.k8s.io"},
            "spec": {"caBundle": BASE64.encode(bundle.as_bytes()), "groupPriorityMinimum": 1000, "versionPriority": 1}}));
        let replicas = (0..REPLICAS).map(|_| ApiReplica {
            faults: FaultQueue::default(),
            ahead: Arc::default(),
            is_trustworthy: true,
            served: Served::default(),
            task: None,
        });
        let mut model = Self {
            server,
            time,
            replicas: replicas.collect(),
            verified: HashSet::new(),
            configs: Vec::new(),
        };
        (0..REPLICAS).for_each(|replica| model.start(replica));
        model
    }

    async fn run(&mut self, step: ReplicaStep) {
        match step {
            ReplicaStep::Start(replica) => self.start(replica),
            ReplicaStep::Stop(replica) => self.stop(replica),
            ReplicaStep::Sleep { hours, faults } => {
                self.set_clocks_right();
                self.be_quiet().await;
                self.time.slept_hours.fetch_add(hours, Ordering::Relaxed);
                self.replicas.iter().zip(faults).for_each(|(replica, faults)| replica.faults.set(faults));
            }
            ReplicaStep::Skew { replica, seconds } => {
                self.replicas[replica].ahead.store(seconds, Ordering::Relaxed);
            }
            ReplicaStep::WrongClock(replica) => {
                self.replicas[replica].ahead.store(WRONG_BY, Ordering::Relaxed);
                self.replicas[replica].is_trustworthy = false;
            }
            ReplicaStep::Delete => self.server.delete(SECRET),
            ReplicaStep::Spoil { entry, with } => self.spoil(entry, with),
            ReplicaStep::Wait(seconds) => self.pass(Duration::from_secs(seconds)).await,
        }
        self.check();
    }

    fn start(&mut self, replica: usize) {
        self.stop(replica);
        let replica = &mut self.replicas[replica];
        let (served, ahead, time) =
            (Arc::clone(&replica.served), Arc::clone(&replica.ahead), Arc::clone(&self.time));
        let client = self.server.client("coffer", &replica.faults);
        let connection = KubeConnection { client, namespace: "coffer".to_owned() };
        let clock = move || match ahead.load(Ordering::Relaxed) {
            ahead @ 0.. => time.now() + Duration::from_secs(ahead.unsigned_abs()),
            behind => time.now() - Duration::from_secs(behind.unsigned_abs()),
        };
        replica.task = Some(tokio::spawn(async move {
            let secret = "coffer-api-server-tls".to_owned();
            let mut managed =
                ManagedCertificate::with_clock(&connection, secret, "coffer-api-server", Arc::new(clock));
            let config = Arc::new(ArcSwap::new(managed.first().await));
            *served.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&config));
            managed.follow(&config).await;
        }));
    }

    fn stop(&mut self, replica: usize) {
        let replica = &mut self.replicas[replica];
        if let Some(task) = replica.task.take() {
            task.abort();
        }
        replica.served = Served::default();
    }

    fn spoil(&self, entry: &str, with: Option<&str>) {
        let Some(mut secret) = self.server.object(SECRET) else { return };
        let with = with.map(|with| match with {
            ANOTHER_KEY => rcgen::KeyPair::generate().expect("a key").serialize_pem(),
            with => with.to_owned(),
        });
        match (secret["data"].as_object_mut(), with) {
            (Some(data), Some(with)) => {
                drop(data.insert(entry.to_owned(), json!(BASE64.encode(with.as_bytes()))));
            }
            (Some(data), None) => drop(data.remove(entry)),
            (None, _) => {}
        }
        self.server.put(SECRET, secret);
    }

    /// Passes time, and checks after each request and change.
    async fn pass(&mut self, time: Duration) {
        let (until, mut changes) = (Instant::now() + time, self.server.changes());
        while Instant::now() < until {
            tokio::select! {
                _ = changes.changed() => {}
                () = sleep(Duration::from_secs(5)) => {}
            }
            self.check();
        }
    }

    fn set_clocks_right(&self) {
        self.replicas.iter().for_each(|replica| replica.ahead.store(0, Ordering::Relaxed));
    }

    /// Passes time without faults.
    async fn be_quiet(&mut self) {
        self.replicas.iter().for_each(|replica| replica.faults.set([]));
        self.pass(QUIET).await;
    }

    /// Checks that a client that trusts what the APIService trusts can verify each replica.
    fn check(&mut self) {
        let Some(bundle) = self.trusted() else { return };
        for (n, replica) in self.replicas.iter_mut().enumerate() {
            let Some(config) = serving(replica) else { continue };
            let hour = self.time.slept_hours.load(Ordering::Relaxed);
            let checked = (bundle.clone(), Arc::as_ptr(&config) as usize, hour);
            if self.verified.contains(&checked) {
                continue;
            }
            match served_certificate(&bundle, &config, self.time.now()) {
                Ok(_) => {
                    replica.is_trustworthy |= replica.ahead.load(Ordering::Relaxed) < WRONG_BY;
                    self.verified.insert(checked);
                    self.configs.push(config);
                }
                Err(error) => assert!(!replica.is_trustworthy, "replica {n} cannot be verified: {error}"),
            }
        }
    }

    /// Returns the certificates that the APIService trusts, unless it trusts none.
    fn trusted(&self) -> Option<String> {
        let service = self.server.object(API_SERVICE)?;
        let bundle = service.pointer("/spec/caBundle").and_then(Value::as_str)?;
        let bundle = String::from_utf8(BASE64.decode(bundle.as_bytes()).ok()?).ok()?;
        (!bundle.is_empty()).then_some(bundle)
    }

    /// Sets the clocks right and starts what is down. Then all must serve with one certificate, and
    /// the APIService trust its CA and no lost one.
    async fn come_to_rest(&mut self) {
        self.set_clocks_right();
        for replica in 0..REPLICAS {
            if self.replicas[replica].task.is_none() {
                self.start(replica);
            }
        }
        self.be_quiet().await;
        self.time.slept_hours.fetch_add(2, Ordering::Relaxed);
        self.be_quiet().await;
        let secret: Secret =
            serde_json::from_value(self.server.object(SECRET).expect("the Secret")).expect("a Secret");
        let certificates = store::read(&secret.data.expect("data"));
        let bundle = self.trusted().expect("a bundle");
        assert_eq!(bundle, certificates.bundle());
        for replica in &self.replicas {
            let config = serving(replica).expect("it serves");
            let served = served_certificate(&bundle, &config, self.time.now()).expect("it can be verified");
            let stored = &certificates.serving.as_ref().expect("a certificate").certificate;
            assert!(client::is_same(&served, stored), "a replica serves with another certificate");
            assert!(replica.is_trustworthy);
        }
    }
}

fn serving(replica: &ApiReplica) -> Option<Arc<ServerConfig>> {
    let served = replica.served.lock().unwrap_or_else(PoisonError::into_inner);
    served.as_ref().map(|config| config.load_full())
}

/// Returns certificates whose CA and serving certificate have these ages in days.
fn aged(age: u32, serving_age: u32) -> CertificateSet {
    let names = client::names();
    let first = CertificateSet::default().next(&names, client::begin() - DAY * age).expect("certificates");
    let at = client::begin() - DAY * serving_age.min(age);
    CertificateSet { serving: None, ..first }.next(&names, at).expect("certificates")
}

fn run(age: Option<(u32, u32)>, steps: Vec<ReplicaStep>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let mut model = ReplicaModel::new(age);
        for step in steps {
            model.run(step).await;
        }
        model.come_to_rest().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { CASES },
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn each_replica_can_be_verified_at_each_moment(age in age(), steps in vec(step(), 1..25)) {
        run(age, steps);
    }
}
