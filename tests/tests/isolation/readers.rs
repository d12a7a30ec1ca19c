//! Attacks by users of the API, and by who may write classes.

use std::sync::Arc;
use std::time::Duration;

use coffer_tests::kubernetes::aggregated::{API, DirectClient};
use coffer_tests::{Suite, until_true};
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::api::{ApiArena, ApiAttacker, attack};
use crate::mallory::objects;

/// Nearly what etcd stores of one object.
const MEGABYTE: usize = 1_000_000;

pub(crate) fn tests(suite: Suite<ApiArena>) -> Suite<ApiArena> {
    let suite = suite.test(HANG_UP, hang_up_and_audit);
    let suite = attack(suite, "forty_large_reads_of_one_user", large_reads);
    let suite = attack(suite, "answers_that_nobody_takes", not_taken);
    let suite = attack(suite, "queries_of_60_kb", long_queries);
    // from here on the classes stay
    let suite = attack(suite, "lists_of_2000_classes", lists);
    OF_CLASSES.into_iter().fold(suite, |suite, (created, found, provider)| {
        let suite = attack(suite, created, move |attacker| large_classes(attacker.arena.clone(), provider));
        suite.test(found, move |arena| found_at_its_start(arena, found, provider))
    })
}

/// The names of two attacks, by classes that are created while the server runs, and by classes
/// that it finds at its start; and the classes' provider.
const OF_CLASSES: [(&str, &str, &str); 2] = [
    ("classes_of_a_megabyte_of_another_provider", "and_found_at_its_start_1", "azure"),
    ("classes_of_a_megabyte", "and_found_at_its_start_2", "vault"),
];

const HANG_UP: &str = "reads_whose_client_hangs_up";

/// The pause after a request, without which a refusal at once would be asked for again at once.
const PAUSE: Duration = Duration::from_millis(10);

/// Creates class `large`, of nearly 4 MB.
async fn large_class(attacker: &ApiAttacker) {
    let (api, mallory) = (&attacker.arena.api, &attacker.arena.mallory);
    let known = api.through();
    let path = mallory.path("large");
    let headers = [("Authorization", mallory.bearer.as_str())];
    if known.get(&path, &headers).await.0 == 404 {
        let objects = mallory.namespace.objects("large", &[("a", "k"), ("b", "k"), ("c", "k")]);
        api.bao
            .kv_put(&format!("{}/large", mallory.namespace.name()), json!({ "k": "x".repeat(900_000) }))
            .await;
        mallory.try_class("large", "vault", &objects).await;
    }
    until_true("class large to be read", async || known.get(&path, &headers).await.0 == 200).await;
}

/// Each read is in the audit log, though nobody waits for its answer.
async fn hang_up_and_audit(arena: Arc<ApiArena>) {
    let name = format!("namespace=\"{}\"", arena.mallory.namespace.name());
    let log = arena.attacked(HANG_UP, hang_up).await;
    let left = |line: &&str| line.contains(&name) && line.contains("client_gone=true");
    assert!(log.lines().filter(left).count() > 0, "no line in the log about a read whose client left");
}

async fn hang_up(attacker: Arc<ApiAttacker>) {
    large_class(&attacker).await;
    let (direct, path) = direct(&attacker).await;
    let headers = [("Authorization", attacker.arena.mallory.bearer.as_str())];
    // a connection, which later requests share
    direct.get(API, &headers).await;
    let one = async || loop {
        let _ = timeout(Duration::from_millis(15), direct.try_get(&path, &headers)).await;
        sleep(PAUSE).await;
    };
    join_all((0..40).map(|_| one())).await;
}

async fn large_reads(attacker: Arc<ApiAttacker>) {
    large_class(&attacker).await;
    let (direct, path) = direct(&attacker).await;
    let headers = [("Authorization", attacker.arena.mallory.bearer.as_str())];
    let one = async || loop {
        let _ = direct.try_get(&path, &headers).await;
        sleep(PAUSE).await;
    };
    join_all((0..40).map(|_| one())).await;
}

async fn direct(attacker: &ApiAttacker) -> (DirectClient, String) {
    let api = &attacker.arena.api;
    (api.direct(None).await, attacker.arena.mallory.path("large"))
}

/// The heads are read, the bodies are not.
async fn not_taken(attacker: Arc<ApiAttacker>) {
    large_class(&attacker).await;
    let (direct, path) = direct(&attacker).await;
    let one = async || {
        let request = direct.request("GET", &path).header("Authorization", &attacker.arena.mallory.bearer);
        let answer = request.send().await;
        std::future::pending::<()>().await;
        drop(answer);
    };
    join_all((0..100).map(|_| one())).await;
}

async fn long_queries(attacker: Arc<ApiAttacker>) {
    let (direct, long) = (attacker.arena.api.direct(None).await, "a,".repeat(30_000));
    let headers = [("Authorization", attacker.arena.mallory.bearer.as_str())];
    let path = format!("{API}/namespaces/{}/secrets", attacker.arena.mallory.namespace.name());
    let one = async |name: &str| loop {
        let _ = direct.try_get(&format!("{path}?{name}={long}"), &headers).await;
        sleep(PAUSE).await;
    };
    let names = ["labelSelector", "fieldSelector", "continue", "resourceVersion", "x"];
    join_all((0..50).map(|i| one(names[i % names.len()]))).await;
}

async fn lists(attacker: Arc<ApiAttacker>) {
    let class = objects(10, |i| (format!("secret/data/x/{i}"), "k".to_owned()));
    let made = stream::iter(0..2000).for_each_concurrent(30, async |i| {
        attacker.arena.mallory.try_class(&format!("many-{i}"), "vault", &class).await;
    });
    let path = format!("{API}/namespaces/{}/secrets", attacker.arena.mallory.namespace.name());
    let direct = attacker.arena.api.direct(None).await;
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let one = async |accept: &str| loop {
        let headers = [("Authorization", attacker.arena.mallory.bearer.as_str()), ("Accept", accept)];
        let _ = direct.try_get(&path, &headers).await;
        sleep(PAUSE).await;
    };
    let readers = join_all((0..60).map(|i| one(if i % 2 == 0 { table } else { "application/json" })));
    tokio::join!(made, readers);
}

async fn found_at_its_start(arena: Arc<ApiArena>, name: &'static str, provider: &str) {
    large_classes(Arc::clone(&arena), provider).await;
    arena.attacked(name, |_| std::future::pending()).await;
}

/// Creates those of 60 classes that are missing.
async fn large_classes(arena: Arc<ApiArena>, provider: &str) {
    let name = "a".repeat(960);
    let class = objects(MEGABYTE / 1000, |i| (format!("secret/data/{i}/{name}"), "k".to_owned()));
    stream::iter(0..60)
        .for_each_concurrent(4, async |i| {
            arena.mallory.try_class(&format!("{provider}-{i}"), provider, &class).await;
        })
        .await;
}
