//! The API during outages of Vault, kube-apiserver, the reviews or the API server itself.

use std::sync::Arc;
use std::time::Instant;

use coffer_tests::kubernetes::KubernetesRole;
use coffer_tests::kubernetes::aggregated::{API, ApiSetup, PASSWORD, READ_AS_APP};
use coffer_tests::{OpenBao, Suite, until, until_true};
use futures_util::future::join_all;
use serde_json::json;

pub(crate) fn tests(suite: Suite<ApiSetup>) -> Suite<ApiSetup> {
    suite
        .test("a_stalled_vault_delays_no_other_request", a_stalled_vault)
        .test("a_stalled_vault_does_not_delay_another_vault", one_stalled_vault)
        .test("kube_apiserver_comes_back", kube_apiserver_comes_back)
        .test("without_kube_apiserver_a_missing_token_is_unavailable_not_forbidden", tokens_are_away)
        .test("vault_down_is_reported_without_retry_after", vault_down)
        .test("the_server_comes_back_and_deletions_go_on", the_server_comes_back)
        .test("the_server_drains_before_it_ends", it_drains)
        .test("without_reviews_only_discovery_is_answered", without_reviews)
        .test("a_sealed_vault_is_reported_and_does_not_block_deletions", vault_sealed)
}

async fn a_stalled_vault(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("stalled").await;
    setup.bao.process().freeze();
    let get = ["get", "vaultsecret", "db", "-n", ns.name(), "-o", "yaml"];
    let raw = format!("{API}/namespaces/{}/secrets/db", ns.name());
    let direct = setup.direct(None).await;
    let admin = setup.admin();
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
    assert!(count(429) >= 100, "one user takes too much capacity: {} requests were refused", count(429));
    let busy = answers.iter().find(|(status, _, _)| *status == 429).expect("a refusal");
    assert_eq!(busy.1["retry-after"], "1");
    assert!(
        answers.iter().all(|(status, headers, _)| *status == 429 || !headers.contains_key("retry-after"))
    );
    eprintln!("20 discovery requests beside 200 stalled reads: {others:?}");
    let deletion = setup.cluster.namespace("deleted").await;
    setup.cluster.kubectl().run(["delete", "namespace", deletion.name(), "--timeout=60s"]).await;
    setup.bao.process().thaw();
    until_true("reads to succeed again", async || setup.kubectl(get).await.status.success()).await;
}

async fn one_stalled_vault(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("two").await;
    let n = ns.name();
    let other = OpenBao::start().await;
    other.kubernetes_login_as("kubernetes", &setup.cluster, "reviewer-of-the-other").await;
    other.kv_put(&format!("{n}/db"), json!({ "user": "jo" })).await;
    other.policy(n, &format!("path \"secret/data/{n}/*\" {{ capabilities = [\"read\"] }}")).await;
    let role = KubernetesRole { name: n, account: "app", namespace: n, audience: Some("vault"), policy: n };
    other.kubernetes_role("kubernetes", &role).await;
    let objects = ns.objects("db", &[("user", "user")]);
    let elsewhere = json!({ "roleName": n, "objects": objects, "vaultAddress": other.address() });
    ns.class("elsewhere", elsewhere).await;
    setup.annotate(&ns, "elsewhere", READ_AS_APP).await;

    let allowed = format!("--allowed-vault-addresses={},{}", setup.bao.address(), other.address());
    let replica = setup.replica(&[&allowed]);
    let direct = setup.direct_to(&replica, &setup.serving_ca().await);
    let (admin, secrets) = (setup.admin(), format!("{API}/namespaces/{n}/secrets"));
    let get = async |class: &str| {
        let answer = direct.try_get(&format!("{secrets}/{class}"), &[("Authorization", &admin)]).await;
        answer.map_or(0, |(status, _, _)| status)
    };
    for class in ["db", "elsewhere"] {
        until_true("the replica to read", async || get(class).await == 200).await;
    }
    setup.bao.process().freeze();
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
    setup.bao.process().thaw();
    until_true("reads to succeed again", async || get("db").await == 200).await;
}

async fn kube_apiserver_comes_back(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("restarted").await;
    let direct = setup.direct(None).await;
    setup.cluster.api_server().kill();
    until_true("discovery to be answered", async || direct.get(API, &[]).await.0 == 200).await;
    assert_eq!(direct.get("/readyz", &[]).await.0, 200);
    setup.cluster.api_server().start_again().await;
    setup.available().await;
    let get = ["get", "vaultsecret", "db", "-n", ns.name(), "-o", "yaml"];
    until_true("reads to succeed again", async || setup.kubectl(get).await.status.success()).await;
    // new classes are seen: the watch has resumed
    ns.class("late", json!({ "roleName": ns.name(), "objects": ns.objects("db", &[("a", "user")]) })).await;
    setup.listed(&ns, "late").await;
}

/// A user who was authorized a moment ago still is; only the token is missing then.
async fn tokens_are_away(setup: Arc<ApiSetup>) {
    let ns = setup.namespace("away").await;
    setup.annotate(&ns, "db", READ_AS_APP).await;
    let direct = setup.direct(None).await;
    let path = format!("{API}/namespaces/{}/secrets/db", ns.name());
    let (admin, table) = (setup.admin(), "application/json;as=Table;v=v1;g=meta.k8s.io");
    let row = async || direct.get(&path, &[("Authorization", &admin), ("Accept", table)]).await;
    // a table row needs the same right as a read, but no token
    until_true("the annotation to become effective", async || row().await.2.contains("\"app\"")).await;
    assert_eq!(row().await.0, 200);
    setup.cluster.api_server().kill();
    let (status, headers, text) = direct.get(&path, &[("Authorization", &admin)]).await;
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("no token for service account") && !text.contains("RoleBinding"), "{text}");
    assert!(!headers.contains_key("retry-after"));
    setup.cluster.api_server().start_again().await;
    setup.available().await;
}

async fn vault_down(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("down").await;
    let nobody =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let replica = setup.replica(&[&format!("--vault-addr=http://{nobody}")]);
    let direct = setup.direct_to(&replica, &setup.serving_ca().await);
    let path = format!("{API}/namespaces/{}/secrets/db", ns.name());
    let admin = setup.admin();
    let answer = until("the replica to know the class", async || {
        let answer = direct.try_get(&path, &[("Authorization", &admin)]).await.ok();
        answer.filter(|(status, _, text)| *status != 404 && !text.contains("have not been read"))
    });
    let (status, headers, text) = answer.await;
    assert_eq!(status, 503, "{text}");
    assert!(text.contains(&nobody.to_string()) && text.contains("\"ServiceUnavailable\""), "{text}");
    assert!(!headers.contains_key("retry-after"), "clients would retry again and again");
    assert_eq!(direct.get("/readyz", &[]).await.0, 200, "a restart would not help");
}

async fn the_server_comes_back(setup: Arc<ApiSetup>) {
    let kubectl = setup.cluster.kubectl();
    let doomed = setup.cluster.namespace("doomed").await;
    let condition = async |object: [&str; 2], kind: &str| {
        let path = format!("-o=jsonpath={{.status.conditions[?(@.type=='{kind}')].status}}");
        setup.kubectl(["get", object[0], object[1], &path]).await.out
    };
    let api_service = ["apiservice", "v1alpha1.custom.secrets.k8s.io"];
    setup.server.kill();
    until_true("the API to be unavailable", async || condition(api_service, "Available").await == "False")
        .await;
    kubectl.run(["delete", "namespace", doomed.name(), "--wait=false"]).await;
    let terminating = ["namespace", doomed.name()];
    until_true("the deletion to wait for discovery", async || {
        condition(terminating, "NamespaceDeletionDiscoveryFailure").await == "True"
    })
    .await;
    setup.start_again().await;
    until_true("the deletion to finish", async || {
        let namespace = setup.kubectl(["get", "namespace", doomed.name()]).await;
        namespace.err.contains("NotFound")
    })
    .await;
}

async fn it_drains(setup: Arc<ApiSetup>) {
    let direct = setup.direct(None).await;
    assert_eq!(direct.get("/readyz", &[]).await.0, 200);
    setup.server.terminate();
    until_true("readiness to fail", async || direct.get("/readyz", &[]).await.0 == 503).await;
    assert_eq!(direct.get(API, &[]).await.0, 200, "a draining server still answers");
    until_true("the server to end", async || !setup.server.is_running()).await;
    assert!(setup.server.log().contains("ended"));
    setup.start_again().await;
}

async fn without_reviews(setup: Arc<ApiSetup>) {
    let kubectl = setup.cluster.kubectl();
    let ns = setup.annotated_namespace("reviews").await;
    kubectl.run(["delete", "clusterrolebinding", "coffer-api-server:system:auth-delegator"]).await;
    let get = ["get", "vaultsecret", "db", "-n", ns.name(), "-o", "yaml"];
    // an earlier decision is cached for ten seconds
    let refused = until("reads to be refused", async || {
        let read = setup.kubectl(get).await;
        (!read.status.success()).then_some(read.err)
    })
    .await;
    assert!(refused.contains("could not be found out") && !refused.contains(PASSWORD), "{refused}");
    assert!(setup.kubectl(["get", "--raw", API]).await.status.success());
    assert!(setup.kubectl(["api-resources"]).await.shown().contains("VaultSecret"));
    let deletion = setup.cluster.namespace("deleted").await;
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
    until_true("reads to succeed again", async || setup.kubectl(get).await.status.success()).await;
}

async fn vault_sealed(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("sealed").await;
    setup.bao.seal().await;
    let get = ["get", "vaultsecret", "db", "-n", ns.name(), "-o", "yaml"];
    let refused = setup.kubectl(get).await;
    for part in ["ServiceUnavailable", "sealed"] {
        assert!(refused.refused().contains(part), "no {part} in {refused:?}");
    }
    assert!(setup.kubectl(["api-resources"]).await.shown().contains("VaultSecret"));
    assert!(!setup.server.log().contains(PASSWORD));
    setup.cluster.kubectl().run(["delete", "namespace", ns.name(), "--timeout=60s"]).await;
}
