//! `coffer-api-server` under the shipped limits, behind a real kube-apiserver.

use std::future::Future;
use std::sync::Arc;

use coffer_tests::kubernetes::aggregated::{API, ApiSetup, DirectClient, HttpVersion, RawDialer};
use coffer_tests::kubernetes::{ClusterOptions, Namespace};
use coffer_tests::{ProcessLimits, Servers, Suite};
use serde_json::json;

use crate::observe::{ProbedPath, observe};
use crate::report::{Report, ReportTable};

/// `resources.limits.memory` of the API server in `deploy/api-server.yaml`, in MiB.
const MEMORY: u64 = 96;

/// The servers of all attacks, of which the API server is started again for each.
pub(crate) struct ApiArena {
    pub(crate) api: ApiSetup,
    victim: ApiUser,
    pub(crate) mallory: ApiUser,
    table: ReportTable,
}

/// A service account that may read its namespace's class `db` through the API.
pub(crate) struct ApiUser {
    pub(crate) namespace: Namespace,
    /// Its header `Authorization`.
    pub(crate) bearer: String,
}

/// What an attacker of the API has.
pub(crate) struct ApiAttacker {
    pub(crate) arena: Arc<ApiArena>,
    /// Connects to the API server without a certificate, as any pod may.
    pub(crate) http1: RawDialer,
    pub(crate) http2: RawDialer,
}

impl ApiUser {
    async fn new(api: &ApiSetup, name: &str) -> Self {
        let namespace = api.namespace(name).await;
        let user = format!("system:serviceaccount:{}:app", namespace.name());
        api.allow(&namespace, &user, &["get", "list"], None).await;
        let token = api.cluster.account_kubeconfig(namespace.name(), "app").await.token;
        Self { namespace, bearer: format!("Bearer {token}") }
    }

    /// Creates a class of that provider, if there is none of the name.
    pub(crate) async fn try_class(&self, name: &str, provider: &str, objects: &str) {
        let parameters = json!({ "roleName": self.namespace.name(), "objects": objects });
        let spec = json!({ "provider": provider, "parameters": parameters });
        let _ = self.namespace.try_class_of(name, spec).await;
    }

    /// Returns the path of a class of the namespace.
    pub(crate) fn path(&self, class: &str) -> String {
        format!("{API}/namespaces/{}/secrets/{class}", self.namespace.name())
    }
}

impl ApiArena {
    pub(crate) async fn start() -> Self {
        let api = ApiSetup::start(ClusterOptions::default()).await;
        let (victim, mallory) = (ApiUser::new(&api, "victim").await, ApiUser::new(&api, "mallory").await);
        Self { api, victim, mallory, table: ReportTable::default() }
    }

    /// Starts the API server within its limits, and lets the attacker loose, once more where that
    /// did nothing but delay the victim. Returns the server's log.
    ///
    /// # Panics
    /// If the attack achieved something.
    pub(crate) async fn attacked<F: Future<Output = ()>>(
        self: Arc<Self>,
        attack: &'static str,
        run: impl Fn(Arc<ApiAttacker>) -> F,
    ) -> String {
        let mut report = self.attempt(attack, &run).await;
        if report.only_slow() {
            report = self.attempt(attack, &run).await;
        }
        self.table.judge(report);
        self.api.server.log()
    }

    async fn attempt<F: Future<Output = ()>>(
        self: &Arc<Self>,
        attack: &'static str,
        run: impl Fn(Arc<ApiAttacker>) -> F,
    ) -> Report {
        let limits = ProcessLimits::memory(MEMORY);
        self.api.start_within(&limits).await;
        let (through, path) = (Arc::new(self.api.through()), self.victim.path("db"));
        read(Arc::clone(&through), path.clone(), self.victim.bearer.clone())
            .await
            .expect("the victim is served");

        let bearer = self.victim.bearer.clone();
        let call = move |_| read(Arc::clone(&through), path.clone(), bearer.clone());
        let direct = Arc::new(self.api.direct_to(&self.api.server, &self.api.serving_ca().await));
        let probe = move |path| probe(Arc::clone(&direct), path);
        let attacker = ApiAttacker {
            http1: self.api.dialer(HttpVersion::Http1, None).await,
            http2: self.api.dialer(HttpVersion::Http2, None).await,
            arena: Arc::clone(self),
        };
        let seen = observe(&limits, run(Arc::new(attacker)), call, probe).await;
        let (oom_kills, resident_kib) = (limits.cgroup().oom_kills(), self.api.server.peak_resident_kib());
        self.api.server.kill();
        Report { attack, oom_kills, resident_kib, seen }
    }
}

impl Servers for ApiArena {
    fn show_logs(&self) {
        self.api.server.show_log();
    }
}

/// Adds an attack on the API server.
pub(crate) fn attack<F>(
    suite: Suite<ApiArena>,
    name: &'static str,
    run: impl Fn(Arc<ApiAttacker>) -> F + Send + 'static,
) -> Suite<ApiArena>
where
    F: Future<Output = ()>,
{
    suite.test(name, move |arena| async move {
        arena.attacked(name, run).await;
    })
}

/// Reads a class through kube-apiserver, as kubectl does.
async fn read(client: Arc<DirectClient>, path: String, bearer: String) -> Result<(), String> {
    match client.try_get(&path, &[("Authorization", &bearer)]).await {
        Ok((200, ..)) => Ok(()),
        Ok((status, _, text)) => Err(format!("a read was answered with {status}: {text}")),
        Err(error) => Err(format!("a read was not answered: {error:?}")),
    }
}

/// Returns whether the server says that it lives, or is ready, on a new connection.
async fn probe(client: Arc<DirectClient>, path: ProbedPath) -> bool {
    let path = match path {
        ProbedPath::Live => "/livez",
        ProbedPath::Ready => "/readyz",
    };
    client.try_get(path, &[]).await.is_ok_and(|(status, ..)| status == 200)
}
