//! The API while something is away: Vault, kube-apiserver, the reviews, the API server itself.

use std::sync::Arc;
use std::time::Instant;

use coffer_tests::kubernetes::KubernetesRole;
use coffer_tests::kubernetes::aggregated::{API, AggregatedSite, PASSWORD, READ_AS_APP};
use coffer_tests::{OpenBao, Suite, until, until_true};
use futures_util::future::join_all;
use serde_json::json;

type Site = Arc<AggregatedSite>;

pub(crate) fn tests(suite: Suite<AggregatedSite>) -> Suite<AggregatedSite> {
    suite
        .test("a_stalled_vault_holds_up_nobody_else", a_stalled_vault)
        .test("one_stalled_vault_leaves_the_other_alone", one_stalled_vault)
        .test("kube_apiserver_comes_back", kube_apiserver_comes_back)
        .test("without_kube_apiserver_a_token_is_not_denied_but_away", tokens_are_away)
        .test("vault_down_is_said_and_asked_no_more", vault_down)
        .test("the_server_comes_back_and_deletions_go_on", the_server_comes_back)
        .test("it_drains_before_it_ends", it_drains)
        .test("without_reviews_nothing_is_answered_but_discovery", without_reviews)
        .test("vault_sealed_is_said_and_harms_no_deletion", vault_sealed)
}

async fn a_stalled_vault(site: Site) {
    let ns = site.annotated_namespace("stalled").await;
    site.bao.process().freeze();
    let get = ["get", "vaultsecret", "db", "-n", ns.name(), "-o", "yaml"];
    let raw = format!("{API}/namespaces/{}/secrets/db", ns.name());
    let direct = site.direct(None).await;
    let admin = site.admin();
    let gets = join_all((0..200).map(|_| async { direct.get(&raw, &[("Authorization", &admin)]).await }));
    let others = async {
        let began = Instant::now();
        for _ in 0..20 {
            assert_eq!(direct.get(API, &[]).await.0, 200);
        }
        began.elapsed()
    };
    let (answers, others) = tokio::join!(gets, others);
    let count = |code: u16| answers.iter().filter(|(status, _, _)| *status == code).count();
    assert_eq!(
        count(429) + count(504) + count(503),
        200,
        "{:?}",
        answers.iter().map(|a| a.0).collect::<Vec<_>>()
    );
    assert!(count(429) >= 100, "one user takes too much: {} were refused", count(429));
    let busy = answers.iter().find(|(status, _, _)| *status == 429).expect("a refusal");
    assert_eq!(busy.1["retry-after"], "1");
    assert!(
        answers.iter().all(|(status, headers, _)| *status == 429 || !headers.contains_key("retry-after"))
    );
    eprintln!("20 discovery requests beside 200 stalled reads: {others:?}");
    let deletion = site.cluster.namespace("deleted").await;
    site.cluster.kubectl().run(["delete", "namespace", deletion.name(), "--timeout=60s"]).await;
    site.bao.process().thaw();
    until_true("reads to go on", async || site.kubectl(get).await.status.success()).await;
}

async fn one_stalled_vault(site: Site) {
    let ns = site.annotated_namespace("two").await;
    let n = ns.name();
    let other = OpenBao::start().await;
    other.kubernetes_login_as("kubernetes", &site.cluster, "reviewer-of-the-other").await;
    other.kv_put(&format!("{n}/db"), json!({ "user": "jo" })).await;
    other.policy(n, &format!("path \"secret/data/{n}/*\" {{ capabilities = [\"read\"] }}")).await;
    let role = KubernetesRole { name: n, account: "app", namespace: n, audience: Some("vault"), policy: n };
    other.kubernetes_role("kubernetes", &role).await;
    let objects = ns.objects("db", &[("user", "user")]);
    let elsewhere = json!({ "roleName": n, "objects": objects, "vaultAddress": other.address() });
    ns.class("elsewhere", elsewhere).await;
    site.annotate(&ns, "elsewhere", READ_AS_APP).await;

    let allowed = format!("--allowed-vault-addresses={},{}", site.bao.address(), other.address());
    let replica = site.replica(&[&allowed]);
    let direct = site.direct_to(&replica, &site.serving_ca().await);
    let (admin, secrets) = (site.admin(), format!("{API}/namespaces/{n}/secrets"));
    let get = async |class: &str| {
        let answer = direct.try_get(&format!("{secrets}/{class}"), &[("Authorization", &admin)]).await;
        answer.map_or(0, |(status, _, _)| status)
    };
    for class in ["db", "elsewhere"] {
        until_true("the replica to read", async || get(class).await == 200).await;
    }
    site.bao.process().freeze();
    let stalled = join_all((0..30).map(|_| get("db")));
    let others = async {
        for _ in 0..20 {
            assert_eq!(get("elsewhere").await, 200);
        }
    };
    tokio::select! {
        biased;
        answers = stalled => panic!("the stalled Vault answered first: {answers:?}"),
        () = others => {}
    }
    site.bao.process().thaw();
    until_true("reads to go on", async || get("db").await == 200).await;
}

async fn kube_apiserver_comes_back(site: Site) {
    let ns = site.annotated_namespace("restarted").await;
    let direct = site.direct(None).await;
    site.cluster.api_server().kill();
    until_true("discovery to be answered alone", async || direct.get(API, &[]).await.0 == 200).await;
    assert_eq!(direct.get("/readyz", &[]).await.0, 200);
    site.cluster.api_server().start_again().await;
    site.available().await;
    let get = ["get", "vaultsecret", "db", "-n", ns.name(), "-o", "yaml"];
    until_true("reads to go on", async || site.kubectl(get).await.status.success()).await;
    // classes made since are seen: the watch goes on too
    ns.class("late", json!({ "roleName": ns.name(), "objects": ns.objects("db", &[("a", "user")]) })).await;
    site.listed(&ns, "late").await;
}

/// Who was let in a moment ago still is; only the token is missing then.
async fn tokens_are_away(site: Site) {
    let ns = site.namespace("away").await;
    site.annotate(&ns, "db", READ_AS_APP).await;
    let direct = site.direct(None).await;
    let path = format!("{API}/namespaces/{}/secrets/db", ns.name());
    let (admin, table) = (site.admin(), "application/json;as=Table;v=v1;g=meta.k8s.io");
    let row = async || direct.get(&path, &[("Authorization", &admin), ("Accept", table)]).await;
    // a row asks for the same right as a read, and for no token
    until_true("the annotation to count", async || row().await.2.contains("\"app\"")).await;
    assert_eq!(row().await.0, 200);
    site.cluster.api_server().kill();
    let (status, headers, text) = direct.get(&path, &[("Authorization", &admin)]).await;
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("no token for service account") && !text.contains("RoleBinding"), "{text}");
    assert!(!headers.contains_key("retry-after"));
    site.cluster.api_server().start_again().await;
    site.available().await;
}

async fn vault_down(site: Site) {
    let ns = site.annotated_namespace("down").await;
    let nobody =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let replica = site.replica(&[&format!("--vault-addr=http://{nobody}")]);
    let direct = site.direct_to(&replica, &site.serving_ca().await);
    let path = format!("{API}/namespaces/{}/secrets/db", ns.name());
    let admin = site.admin();
    let answer = until("the replica to know the class", async || {
        let answer = direct.try_get(&path, &[("Authorization", &admin)]).await.ok();
        answer.filter(|(status, _, text)| *status != 404 && !text.contains("have not been read"))
    });
    let (status, headers, text) = answer.await;
    assert_eq!(status, 503, "{text}");
    assert!(text.contains(&nobody.to_string()) && text.contains("\"ServiceUnavailable\""), "{text}");
    assert!(!headers.contains_key("retry-after"), "clients would ask again and again");
    assert_eq!(direct.get("/readyz", &[]).await.0, 200, "a restart mends no Vault");
}

async fn the_server_comes_back(site: Site) {
    let kubectl = site.cluster.kubectl();
    let doomed = site.cluster.namespace("doomed").await;
    let condition = async |object: [&str; 2], kind: &str| {
        let path = format!("-o=jsonpath={{.status.conditions[?(@.type=='{kind}')].status}}");
        site.kubectl(["get", object[0], object[1], &path]).await.out
    };
    let api_service = ["apiservice", "v1alpha1.custom.secrets.k8s.io"];
    site.server.kill();
    until_true("the API to be unavailable", async || condition(api_service, "Available").await == "False")
        .await;
    kubectl.run(["delete", "namespace", doomed.name(), "--wait=false"]).await;
    let terminating = ["namespace", doomed.name()];
    until_true("the deletion to wait for discovery", async || {
        condition(terminating, "NamespaceDeletionDiscoveryFailure").await == "True"
    })
    .await;
    site.start_again().await;
    until_true("the deletion to go on", async || {
        let namespace = site.kubectl(["get", "namespace", doomed.name()]).await;
        namespace.err.contains("NotFound")
    })
    .await;
}

async fn it_drains(site: Site) {
    let direct = site.direct(None).await;
    assert_eq!(direct.get("/readyz", &[]).await.0, 200);
    site.server.terminate();
    until_true("readiness to fail", async || direct.get("/readyz", &[]).await.0 == 503).await;
    assert_eq!(direct.get(API, &[]).await.0, 200, "draining is not down");
    until_true("the end", async || !site.server.is_running()).await;
    assert!(site.server.log().contains("ended"));
    site.start_again().await;
}

async fn without_reviews(site: Site) {
    let kubectl = site.cluster.kubectl();
    let ns = site.annotated_namespace("reviews").await;
    kubectl.run(["delete", "clusterrolebinding", "coffer-api-server:system:auth-delegator"]).await;
    let get = ["get", "vaultsecret", "db", "-n", ns.name(), "-o", "yaml"];
    // what was allowed a moment ago counts for ten seconds
    let refused = until("reads to be refused", async || {
        let read = site.kubectl(get).await;
        (!read.status.success()).then_some(read.err)
    })
    .await;
    assert!(refused.contains("could not be found out") && !refused.contains(PASSWORD), "{refused}");
    assert!(site.kubectl(["get", "--raw", API]).await.status.success());
    assert!(site.kubectl(["api-resources"]).await.shown().contains("VaultSecret"));
    let deletion = site.cluster.namespace("deleted").await;
    kubectl.run(["delete", "namespace", deletion.name(), "--timeout=60s"]).await;
    kubectl
        .run([
            "create",
            "clusterrolebinding",
            "coffer-api-server:system:auth-delegator",
            "--clusterrole=system:auth-delegator",
            "--serviceaccount=coffer-api:coffer-api-server",
        ])
        .await;
    until_true("reads to go on", async || site.kubectl(get).await.status.success()).await;
}

async fn vault_sealed(site: Site) {
    let ns = site.annotated_namespace("sealed").await;
    site.bao.seal().await;
    let get = ["get", "vaultsecret", "db", "-n", ns.name(), "-o", "yaml"];
    let refused = site.kubectl(get).await;
    for part in ["ServiceUnavailable", "sealed"] {
        assert!(refused.refused().contains(part), "no {part} in {refused:?}");
    }
    assert!(site.kubectl(["api-resources"]).await.shown().contains("VaultSecret"));
    assert!(!site.server.log().contains(PASSWORD));
    site.cluster.kubectl().run(["delete", "namespace", ns.name(), "--timeout=60s"]).await;
}
