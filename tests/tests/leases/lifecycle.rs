//! A lease lives as long as its pod: one user of a real PostgreSQL, reused, renewed and revoked.

use std::fs;
use std::sync::Arc;

use coffer_tests::kubernetes::{LeaseSetup, user};
use coffer_tests::{LeaseTtls, Suite, TestPod, until, until_true};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{LONG, SHORT};

/// TTLs whose end a test can wait for.
const ENDING: LeaseTtls<'static> = LeaseTtls { ttl: "15s", max_ttl: "36s" };

pub(crate) fn tests(suite: Suite<LeaseSetup>) -> Suite<LeaseSetup> {
    suite
        .test("a_lease_is_reused_renewed_and_revoked_with_its_pod", one_user_is_kept)
        .test("a_lease_at_its_max_ttl_is_replaced_once", replaced_once)
        .test("concurrent_mounts_and_volumes_of_a_pod_share_one_lease", shared)
        .test("more_pods_than_the_cache_size_reuse_their_leases", small_cache)
        .test("a_lease_that_a_class_no_longer_uses_ends_with_its_ttl", class_changed)
        .test("a_lease_of_a_former_role_ends_with_its_ttl", role_changed)
        .test("an_issued_certificate_is_reused", certificate)
        .test("refresh_interval_spares_reads", refresh_interval)
}

async fn one_user_is_kept(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("kept", SHORT, "1h").await;
    let node = setup.node("kept").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod);
    let first = node.mount(&call).await;
    // past the end of the first TTL
    node.renewed(3).await;

    let again = node.mount(&call).await;
    assert_eq!((user(&again), &again.versions), (user(&first), &first.versions));
    assert_eq!(setup.postgres.users(tenant.namespace.name()), [user(&first)]);
    assert_eq!(
        (setup.issued(&tenant.namespace), node.csi.metrics().await.sum("coffer_logins_total", &[])),
        (1, 1.0)
    );

    let status = node.status().await;
    for part in [&pod.name, "lease", "user,password", &format!("database/creds/{}", tenant.namespace.name())]
    {
        assert!(status.contains(part), "no {part} in {status}");
    }
    let output = [status, node.status_as("json").await, node.csi.log()].concat();
    let stored: Value =
        serde_json::from_str(fs::read_to_string(&node.records()[0]).unwrap().split_once('\n').unwrap().1)
            .unwrap();
    let secret = |pointer: &str| stored.pointer(pointer).and_then(Value::as_str).unwrap();
    let lease = secret("/answers/0/term/lease/id").rsplit('/').next().unwrap();
    for secret in [again.text("password"), &user(&again), secret("/tokens/0/secret"), lease] {
        assert!(secret.len() > 10 && !output.contains(secret), "{output}");
    }

    setup.end(&tenant, &node, &[&pod]).await;
}

async fn replaced_once(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("replaced", ENDING, "1h").await;
    let node = setup.node("replaced").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod);
    let first = node.mount(&call).await;
    let second = until("another user", async || {
        let mounted = node.mount(&call).await;
        (user(&mounted) != user(&first)).then_some(mounted)
    })
    .await;
    assert_ne!(first.versions, second.versions);
    let users = setup.postgres.users(tenant.namespace.name());
    assert!(
        users.contains(&user(&first)) && users.contains(&user(&second)),
        "both users exist for a while: {users:?}"
    );
    assert_eq!(user(&node.mount(&call).await), user(&second), "changed once");
    assert_eq!(setup.issued(&tenant.namespace), 2);

    setup.end(&tenant, &node, &[&pod]).await;
}

async fn shared(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("shared", LONG, "1h").await;
    let node = setup.node("shared").await;
    let pod = tenant.pod(&node).await;
    let calls = ["one", "two"].map(|volume| tenant.call(&pod).volume(volume));
    let (one, two) = tokio::join!(node.mount(&calls[0]), node.mount(&calls[1]));
    assert_eq!(user(&one), user(&two));
    for call in &calls {
        assert_eq!(user(&node.mount(call).await), user(&one));
    }
    assert_eq!(setup.issued(&tenant.namespace), 1);
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn small_cache(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("small", LONG, "1h").await;
    let mut node = setup.node("small").await;
    node.restart_with(node.options().flag("-cache-size=1")).await;
    let mut pods = Vec::new();
    for _ in 0..3 {
        let pod = tenant.pod(&node).await;
        let first = node.mount(&tenant.call(&pod)).await;
        pods.push((pod, user(&first)));
    }
    for (pod, first) in &pods {
        assert_eq!(user(&node.mount(&tenant.call(pod)).await), *first);
    }
    let pods: Vec<&TestPod> = pods.iter().map(|(pod, _)| pod).collect();
    setup.end(&tenant, &node, &pods).await;
}

async fn class_changed(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("class", SHORT, "1h").await;
    let node = setup.node("class").await;
    let pod = tenant.pod(&node).await;
    node.mount(&tenant.call(&pod)).await;
    let name = tenant.namespace.name();
    setup.bao.kv_put(&format!("{name}/db"), json!({ "user": "static" })).await;
    let objects = tenant.namespace.objects("db", &[("user", "user")]);
    let mounted = node.mount(&tenant.call(&pod).objects(&objects)).await;
    assert_eq!(user(&mounted), "static");
    assert!(!node.status().await.contains("database/creds"), "{}", node.status().await);
    // while the pod still exists
    setup.nobody_left(&tenant).await;
    tenant.namespace.delete_pod(&pod).await;
}

async fn role_changed(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("role", SHORT, "1h").await;
    let node = setup.node("role").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    let other = format!("{}-other", tenant.namespace.name());
    setup.login_role(&other, &tenant.namespace, json!({ "token_ttl": "1h" })).await;
    let call = tenant.call(&pod).param("roleName", &other);
    let second = node.mount(&call).await;
    // while the pod still exists
    until_true("the first user to be dropped", async || {
        setup.postgres.users(tenant.namespace.name()) == [user(&second)]
    })
    .await;
    assert_eq!(user(&node.mount(&call).await), user(&second));
    assert_ne!(user(&first), user(&second));
    tenant.namespace.delete_pod(&pod).await;
    setup.nobody_left(&tenant).await;
}

async fn certificate(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("pki", LONG, "1h").await;
    let name = tenant.namespace.name().to_owned();
    let engine = format!("pki-{name}");
    setup.bao.mount_engine(&engine, "pki", json!({})).await;
    let root = json!({ "common_name": "example.com", "ttl": "24h" });
    setup.bao.admin(Method::POST, &format!("{engine}/root/generate/internal"), root).await;
    let role = json!({ "allow_any_name": true, "max_ttl": "1h" });
    setup.bao.admin(Method::POST, &format!("{engine}/roles/web"), role).await;
    let path = format!("{engine}/issue/web");
    setup.bao.policy(&name, &format!("path \"{path}\" {{ capabilities = [\"update\"] }}")).await;

    let mut node = setup.node("pki").await;
    let pod = tenant.pod(&node).await;
    let object = |file: &str, key: &str| {
        json!({ "objectName": file, "secretPath": path, "secretKey": key, "method": "PUT",
            "secretArgs": { "common_name": "web.example.com" } })
    };
    let objects = json!([object("tls.crt", "certificate"), object("tls.key", "private_key")]).to_string();
    let call = tenant.call(&pod).objects(&objects);
    let first = node.mount(&call).await;
    assert_eq!(node.mount(&call).await, first);
    assert!(node.status().await.contains("certificate"));
    node.restart().await;
    assert_eq!(node.mount(&call).await, first);
    assert_eq!(setup.bao.requests_to(&path), 1);
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn refresh_interval(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("refresh", LONG, "1h").await;
    let mut node = setup.node("refresh").await;
    let name = tenant.namespace.name();
    setup.bao.kv_put(&format!("{name}/db"), json!({ "user": "static" })).await;
    let path = format!("secret/data/{name}/db");
    let objects = tenant.namespace.objects("db", &[("user", "user")]);
    let pod = tenant.pod(&node).await;
    let plain = tenant.call(&pod).objects(&objects);
    for _ in 0..2 {
        node.mount(&plain).await;
    }
    assert_eq!(setup.bao.requests_to(&path), 2);
    let seldom = plain.clone().param("refreshInterval", "1h");
    for _ in 0..3 {
        node.mount(&seldom).await;
    }
    assert_eq!(setup.bao.requests_to(&path), 3);
    let refused = node.csi.mount(&plain.clone().param("refreshInterval", "soon")).await.unwrap_err();
    assert!(refused.message.contains("\"refreshInterval\": \"soon\" is no duration"), "{}", refused.message);

    node.stop().await;
    node.csi = node.options().flag("-default-refresh-interval=1h").start().await;
    for _ in 0..3 {
        node.mount(&plain).await;
    }
    assert_eq!(setup.bao.requests_to(&path), 4);
    node.mount(&plain.clone().param("refreshInterval", "0")).await;
    assert_eq!(setup.bao.requests_to(&path), 5);
    setup.end(&tenant, &node, &[&pod]).await;
}
