//! coffer-api-server under load: reads through kube-apiserver, beside reads of core Secrets and
//! bare GETs of Vault.

use std::time::Instant;

use coffer_tests::kubernetes::aggregated::{API, ApiSetup, DirectClient};
use coffer_tests::kubernetes::{Cluster, ClusterOptions, Namespace};
use coffer_tests::{OpenBao, http_client, until_true};
use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::load::GetLoad;
use crate::progress;
use crate::rounds::{self, Load, Round, RunSize};
use crate::series::{Series, median, mib, milliseconds, p50};
use crate::vault::login;

const CLASSES: usize = 1000;
const READS: usize = 10_000;
const DISCOVERIES: usize = 1000;

/// Single figures.
struct ApiFigures {
    resident_idle_kib: u64,
    /// With 1,000 classes, after 10,000 reads.
    resident_after_kib: u64,
    /// Only the answers with status 200.
    discovery: Round,
}

/// Measures, and prints the tables.
pub(crate) async fn measure(size: RunSize) {
    progress("etcd, kube-apiserver, OpenBao and coffer-api-server start");
    let (cluster, bao) = tokio::join!(Cluster::start(ClusterOptions::default()), OpenBao::start_unaudited());
    bao.kubernetes_login("kubernetes", &cluster).await;
    let setup = ApiSetup::between(cluster, bao).await;
    let resident_idle_kib = setup.server.resident_kib();
    let ns = setup.annotated_namespace("bench").await;
    let loads = ApiLoads::prepare(&setup, &ns).await;

    let mut speeds = Vec::new();
    for at_once in [1, 10] {
        progress(&format!("{at_once} at once: reads beside core Secrets and bare GETs"));
        speeds.push(ApiSpeeds::measure(&setup, &loads, at_once, size).await);
    }
    progress("memory: 1,000 classes, 10,000 reads");
    let resident_after_kib = memory(&setup, &ns, &loads.through).await;
    progress("discovery with Vault down and reviews failing");
    let discovery = discovery(&setup).await;

    Series::print_head();
    speeds.iter().for_each(ApiSpeeds::print);
    print(&speeds[0], &ApiFigures { resident_idle_kib, resident_after_kib, discovery });
}

fn print(alone: &ApiSpeeds, figures: &ApiFigures) {
    let ApiFigures { resident_idle_kib, resident_after_kib, discovery } = figures;
    println!("\n| what | |\n|---|---:|");
    println!(
        "| p50 of a read through kube-apiserver, to the aim (core Secret + 2 bare GETs) | {:.2} x |",
        alone.to_aim()
    );
    println!("| resident memory, idle | {} |", mib(*resident_idle_kib));
    println!("| resident memory, 1,000 classes and after 10,000 reads | {} |", mib(*resident_after_kib));
    println!(
        "| discovery, Vault down and reviews failing: answered | {} of {DISCOVERIES} |",
        discovery.count
    );
    let (p50, p99) = (milliseconds(discovery.p50), milliseconds(discovery.p99));
    println!(
        "| the same: p50 / p99 / longest | {p50:.2} / {p99:.2} / {:.2} ms |",
        milliseconds(discovery.longest)
    );
}

/// GETs of one secret: in Vault, in a core Secret, and read from Vault through kube-apiserver and
/// around it.
struct ApiLoads {
    vault: GetLoad,
    core: GetLoad,
    through: GetLoad,
    direct: GetLoad,
}

impl ApiLoads {
    async fn prepare(setup: &ApiSetup, ns: &Namespace) -> Self {
        let name = ns.name();
        let token = account_token(setup, ns).await;
        let vault = http_client().get(format!("{}/v1/secret/data/{name}/db", setup.bao.address()));

        let values = ["--from-literal=user=jo", "--from-literal=password=correct-horse-battery"];
        let core = ["create", "secret", "generic", "db", "--namespace", name];
        setup.cluster.kubectl().run(core.into_iter().chain(values)).await;
        let (kube_apiserver, direct) = (setup.through(), setup.direct(None).await);
        let read = format!("{API}/namespaces/{name}/secrets/db");
        let get = |client: &DirectClient, path: &str| {
            GetLoad::new(client.request("GET", path).header("Authorization", setup.admin()))
        };
        Self {
            vault: GetLoad::new(vault.header("X-Vault-Token", token)),
            core: get(&kube_apiserver, &format!("/api/v1/namespaces/{name}/secrets/db")),
            through: get(&kube_apiserver, &read),
            direct: get(&direct, &read),
        }
    }
}

/// Logs in to Vault as the account that coffer-api-server reads as, and returns the token.
async fn account_token(setup: &ApiSetup, ns: &Namespace) -> String {
    let create = ["create", "token", "app", "--audience", "vault", "--namespace", ns.name()];
    let jwt = setup.cluster.kubectl().run(create).await;
    login(setup.bao.address(), ns.name(), jwt.trim()).await
}

/// The rounds at one concurrency; CPU time is that of coffer-api-server alone.
struct ApiSpeeds {
    at_once: usize,
    vault: Series,
    core: Series,
    through: Series,
    direct: Series,
}

impl ApiSpeeds {
    async fn measure(setup: &ApiSetup, loads: &ApiLoads, at_once: usize, size: RunSize) -> Self {
        let (vault, core) = (Series::default(), Series::default());
        let mut speeds = Self { at_once, vault, core, through: Series::default(), direct: Series::default() };
        for load in [&loads.vault, &loads.core, &loads.through, &loads.direct] {
            rounds::warm_up(at_once, size, load).await;
        }
        for _ in 0..size.rounds {
            for (load, series) in [
                (&loads.vault, &mut speeds.vault),
                (&loads.core, &mut speeds.core),
                (&loads.through, &mut speeds.through),
                (&loads.direct, &mut speeds.direct),
            ] {
                let before = setup.server.cpu_time();
                let round = rounds::run(at_once, size.round_length, load).await;
                series.add((round, setup.server.cpu_time() - before));
            }
        }
        speeds
    }

    fn print(&self) {
        println!("{}", self.vault.row(self.at_once, "bare GET", None));
        println!("{}", self.core.row(self.at_once, "core Secret", Some(&self.vault)));
        println!("{}", self.through.row(self.at_once, "read through kube-apiserver", Some(&self.vault)));
        println!("{}", self.direct.row(self.at_once, "read around it", Some(&self.vault)));
    }

    /// Returns the p50 of a read through kube-apiserver, divided by that of a core Secret and two
    /// bare GETs in the same round.
    fn to_aim(&self) -> f64 {
        let beside = self.through.rounds.iter().zip(&self.core.rounds).zip(&self.vault.rounds);
        median(beside.map(|((read, core), vault)| p50(read) / (p50(core) + 2.0 * p50(vault))))
    }
}

/// Returns resident memory with many classes, after many reads.
async fn memory(setup: &ApiSetup, ns: &Namespace, reads: &GetLoad) -> u64 {
    let objects = ns.objects("db", &[("user", "user"), ("password", "password")]);
    let parameters = json!({ "roleName": ns.name(), "objects": objects });
    let made = stream::iter(0..CLASSES).map(|n| {
        let parameters = parameters.clone();
        async move { ns.class(&format!("class-{n}"), parameters).await }
    });
    made.buffer_unordered(10).collect::<()>().await;
    setup.listed(ns, &format!("class-{}", CLASSES - 1)).await;
    stream::iter(0..READS).map(|worker| reads.once(worker)).buffer_unordered(10).collect::<()>().await;
    setup.server.resident_kib()
}

/// Asks for discovery and OpenAPI one by one, around kube-apiserver, while nothing else works.
async fn discovery(setup: &ApiSetup) -> Round {
    let direct = setup.direct(None).await;
    setup.bao.process().freeze();
    let binding = "coffer-api-server:system:auth-delegator";
    setup.cluster.kubectl().run(["delete", "clusterrolebinding", binding]).await;
    let list = format!("{API}/secrets");
    // The last answer of a review counts for ten seconds.
    until_true("reviews to fail", async || direct.get(&list, &[]).await.0 == 500).await;
    let mut latencies = Vec::new();
    let begun = Instant::now();
    for path in ["/apis", API, "/openapi/v2", "/openapi/v3"].iter().cycle().take(DISCOVERIES) {
        let one = Instant::now();
        if direct.get(path, &[]).await.0 == 200 {
            latencies.push(one.elapsed());
        }
    }
    Round::new(latencies, begun.elapsed())
}
