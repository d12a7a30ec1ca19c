//! Vault, its operator and PostgreSQL do what they may: a lease is kept as long as it can be, and replaced when it cannot.
//!
//! The time of day cannot be set here without setting it for everyone on the machine; that nothing hangs on it is held by
//! `a_certificate_serves_for_two_thirds_whatever_the_clock_says_since` in `provider/src/session/tests/kept.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::ExitCode;
use std::sync::Arc;

use coffer_tests::kubernetes::{LeaseNode, LeaseSite, Suite, Tenant, user};
use coffer_tests::{MountCall, Mounted, Postgres, Terms, until};
use reqwest::Method;
use serde_json::{Value, json};

const SHORT: Terms<'static> = Terms { ttl: "6s", max_ttl: "1h" };
const LONG: Terms<'static> = Terms { ttl: "1h", max_ttl: "24h" };

fn main() -> ExitCode {
    Suite::new(LeaseSite::start)
        .test("vault_may_be_away_over_a_renewal", |_| vault_away())
        .test("postgres_may_be_away_at_issue_and_at_revocation", |_| postgres_away())
        .test("a_lease_that_an_operator_revoked_is_issued_anew", lease_revoked)
        .test("a_token_that_an_operator_revoked_is_replaced_with_what_it_owned", token_revoked)
        .test("a_lease_whose_time_was_cut_is_renewed_on", time_cut)
        .test("a_lease_that_is_refused_is_replaced_in_time", refused)
        .test("a_token_that_vault_renews_no_further_is_replaced_in_time", token_ends)
        .test("mounts_at_once_and_volumes_of_a_pod_share_one_user", shared)
        .test("what_a_class_asks_for_no_more_is_left_to_its_end", class_changed)
        .test("an_issued_certificate_is_kept", certificate)
        .test("refresh_interval_spares_reads", refresh_interval)
        .test("without_rights_on_pods_nothing_is_kept", without_rights)
        .test("rights_on_pods_that_come_back_count", |_| rights_come_back())
        .test("a_wrong_node_name_takes_nobodys_credentials", wrong_node_name)
        .run()
}

async fn renewals(node: &LeaseNode, at_least: f64) {
    until("renewals", async || {
        let renewed = node
            .csi
            .metrics()
            .await
            .sum("coffer_vault_requests_total", &["kind=\"renew\"", "status=\"200\""]);
        (renewed >= at_least).then_some(())
    })
    .await;
}

async fn another_user(node: &LeaseNode, call: &MountCall, than: &Mounted) -> Mounted {
    until("another user", async || {
        let mounted = node.mount(call).await;
        (user(&mounted) != user(than)).then_some(mounted)
    })
    .await
}

/// On servers of its own, which others would miss.
async fn vault_away() {
    let site = LeaseSite::start().await;
    let tenant = site.tenant("away", Terms { ttl: "20s", max_ttl: "1h" }, "1h").await;
    let node = site.node("away").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod);
    let first = node.mount(&call).await;
    site.bao.process().freeze();
    until("the renewal to be due", async || {
        assert_eq!(user(&node.mount(&call).await), user(&first));
        // a renewal that is under way has no next one yet
        let status = node.status().await;
        let lease = status.lines().find(|line| line.contains("lease")).unwrap().to_owned();
        lease.contains(" 0s ").then_some(())
    })
    .await;
    assert_eq!(user(&node.mount(&call).await), user(&first), "it is mounted without a word from Vault");
    site.bao.process().thaw();
    renewals(&node, 1.0).await;
    assert_eq!(user(&node.mount(&call).await), user(&first));
    assert_eq!(site.issued(&tenant.namespace), 1);

    // sealed it stays: what is held is mounted while it lasts, and the log says what fails
    site.bao.seal().await;
    until("a renewal that fails", async || node.csi.log().contains("is not renewed yet").then_some(())).await;
    assert_eq!(user(&node.mount(&call).await), user(&first));
}

async fn postgres_away() {
    let mut site = LeaseSite::start().await;
    let tenant = site.tenant("nodb", LONG, "1h").await;
    let node = site.node("nodb").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod);
    site.postgres.kill();
    let refused = node.csi.mount(&call).await.unwrap_err();
    assert!(
        refused.message.contains(&format!("database/creds/{}", tenant.namespace.name())),
        "{}",
        refused.message
    );
    site.postgres.start_again().await;
    until("a mount", async || node.csi.mount(&call).await.ok()).await;

    site.postgres.kill();
    tenant.namespace.delete_pod(&pod).await;
    until("Vault to be told", async || {
        let asked = site.bao.requests_to("auth/token/revoke-self");
        (asked > 0).then_some(())
    })
    .await;
    site.postgres.start_again().await;
    site.nobody_left(&tenant).await;
}

async fn lease_revoked(site: Arc<LeaseSite>) {
    let tenant = site.tenant("lease", SHORT, "1h").await;
    let node = site.node("lease").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    let prefix = format!("sys/leases/revoke-prefix/database/creds/{}", tenant.namespace.name());
    site.bao.admin(Method::PUT, &prefix, Value::Null).await;
    let second = another_user(&node, &tenant.call(&pod), &first).await;
    assert!(node.csi.log().contains("is gone, the next mount has it issued anew"), "{}", node.csi.log());
    assert_eq!(site.postgres.users(tenant.namespace.name()), [user(&second)]);
    tenant.namespace.delete_pod(&pod).await;
    site.nobody_left(&tenant).await;
}

async fn token_revoked(site: Arc<LeaseSite>) {
    let tenant = site.tenant("token", SHORT, "1h").await;
    let node = site.node("token").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    revoke_token_of(&site, &tenant).await;
    let second = another_user(&node, &tenant.call(&pod), &first).await;
    assert!(node.csi.log().contains("Vault knows the token no more"), "{}", node.csi.log());
    assert_eq!(site.postgres.users(tenant.namespace.name()), [user(&second)]);
    tenant.namespace.delete_pod(&pod).await;
    site.nobody_left(&tenant).await;
}

async fn revoke_token_of(site: &LeaseSite, tenant: &Tenant) {
    let list = Method::from_bytes(b"LIST").unwrap();
    let listed = site.bao.admin(list, "auth/token/accessors", Value::Null).await;
    for accessor in listed["data"]["keys"].as_array().unwrap() {
        let accessor = json!({ "accessor": accessor });
        // those of other tests come and go
        let token = site.bao.try_admin(Method::POST, "auth/token/lookup-accessor", &accessor).await;
        let namespace = token
            .and_then(|token| token["data"]["meta"]["service_account_namespace"].as_str().map(str::to_owned));
        if namespace.as_deref() == Some(tenant.namespace.name()) {
            site.bao.admin(Method::POST, "auth/token/revoke-accessor", accessor).await;
        }
    }
}

async fn time_cut(site: Arc<LeaseSite>) {
    let tenant = site.tenant("cut", Terms { ttl: "12s", max_ttl: "1h" }, "1h").await;
    let node = site.node("cut").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    Postgres::role(&site.bao, tenant.namespace.name(), Terms { ttl: "4s", max_ttl: "1h" }).await;
    renewals(&node, 4.0).await;
    assert_eq!(user(&node.mount(&tenant.call(&pod)).await), user(&first));
    tenant.namespace.delete_pod(&pod).await;
    site.nobody_left(&tenant).await;
}

async fn refused(site: Arc<LeaseSite>) {
    let tenant = site.tenant("refused", Terms { ttl: "15s", max_ttl: "1h" }, "1h").await;
    let node = site.node("refused").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    // less than the age of the lease when it is to be renewed
    Postgres::role(&site.bao, tenant.namespace.name(), Terms { ttl: "5s", max_ttl: "5s" }).await;
    let second = another_user(&node, &tenant.call(&pod), &first).await;
    let users = site.postgres.users(tenant.namespace.name());
    assert!(
        users.contains(&user(&first)) && users.contains(&user(&second)),
        "both hold for a while: {users:?}"
    );
    assert!(node.csi.log().contains("past the max TTL"), "{}", node.csi.log());
    tenant.namespace.delete_pod(&pod).await;
    site.nobody_left(&tenant).await;
}

async fn token_ends(site: Arc<LeaseSite>) {
    let tenant = site.tenant("login", LONG, "5s").await;
    site.login_role(&tenant.namespace, "5s", "12s").await;
    let node = site.node("login").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    let second = another_user(&node, &tenant.call(&pod), &first).await;
    let users = site.postgres.users(tenant.namespace.name());
    assert!(
        users.contains(&user(&first)) && users.contains(&user(&second)),
        "both hold for a while: {users:?}"
    );
    until("the first one to go with its token", async || {
        (!site.postgres.users(tenant.namespace.name()).contains(&user(&first))).then_some(())
    })
    .await;
    tenant.namespace.delete_pod(&pod).await;
    site.nobody_left(&tenant).await;
}

async fn shared(site: Arc<LeaseSite>) {
    let tenant = site.tenant("shared", LONG, "1h").await;
    let node = site.node("shared").await;
    let pod = tenant.pod(&node).await;
    let calls = ["one", "two"].map(|volume| tenant.call(&pod).volume(volume));
    let (one, two) = tokio::join!(node.mount(&calls[0]), node.mount(&calls[1]));
    assert_eq!(user(&one), user(&two));
    for call in &calls {
        assert_eq!(user(&node.mount(call).await), user(&one));
    }
    assert_eq!(site.issued(&tenant.namespace), 1);
    tenant.namespace.delete_pod(&pod).await;
    site.nobody_left(&tenant).await;
}

async fn class_changed(site: Arc<LeaseSite>) {
    let tenant = site.tenant("class", SHORT, "1h").await;
    let node = site.node("class").await;
    let pod = tenant.pod(&node).await;
    node.mount(&tenant.call(&pod)).await;
    let name = tenant.namespace.name();
    site.bao.kv_put(&format!("{name}/db"), json!({ "user": "static" })).await;
    let objects = tenant.namespace.objects("db", &[("user", "user")]);
    let mounted = node.mount(&tenant.call(&pod).objects(&objects)).await;
    assert_eq!(user(&mounted), "static");
    assert!(!node.status().await.contains("database/creds"), "{}", node.status().await);
    // while the pod is there
    site.nobody_left(&tenant).await;
    tenant.namespace.delete_pod(&pod).await;
}

async fn certificate(site: Arc<LeaseSite>) {
    let tenant = site.tenant("pki", LONG, "1h").await;
    let name = tenant.namespace.name().to_owned();
    let engine = format!("pki-{name}");
    site.bao.mount_engine(&engine, "pki", json!({})).await;
    let root = json!({ "common_name": "example.com", "ttl": "24h" });
    site.bao.admin(Method::POST, &format!("{engine}/root/generate/internal"), root).await;
    let role = json!({ "allow_any_name": true, "max_ttl": "1h" });
    site.bao.admin(Method::POST, &format!("{engine}/roles/web"), role).await;
    let path = format!("{engine}/issue/web");
    site.bao.policy(&name, &format!("path \"{path}\" {{ capabilities = [\"update\"] }}")).await;

    let mut node = site.node("pki").await;
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
    assert_eq!(site.bao.requests_to(&path), 1);
    tenant.namespace.delete_pod(&pod).await;
}

async fn refresh_interval(site: Arc<LeaseSite>) {
    let tenant = site.tenant("refresh", LONG, "1h").await;
    let mut node = site.node("refresh").await;
    let name = tenant.namespace.name();
    site.bao.kv_put(&format!("{name}/db"), json!({ "user": "static" })).await;
    let path = format!("secret/data/{name}/db");
    let objects = tenant.namespace.objects("db", &[("user", "user")]);
    let pod = tenant.pod(&node).await;
    let plain = tenant.call(&pod).objects(&objects);
    for _ in 0..2 {
        node.mount(&plain).await;
    }
    assert_eq!(site.bao.requests_to(&path), 2);
    let seldom = plain.clone().param("refreshInterval", "1h");
    for _ in 0..3 {
        node.mount(&seldom).await;
    }
    assert_eq!(site.bao.requests_to(&path), 3);
    let refused = node.csi.mount(&plain.clone().param("refreshInterval", "soon")).await.unwrap_err();
    assert!(refused.message.contains("\"refreshInterval\": \"soon\" is no duration"), "{}", refused.message);

    node.csi.terminate();
    node.csi.wait().await;
    node.csi = node.options().flag("-default-refresh-interval=1h").start().await;
    for _ in 0..3 {
        node.mount(&plain).await;
    }
    assert_eq!(site.bao.requests_to(&path), 4);
    node.mount(&plain.clone().param("refreshInterval", "0")).await;
    assert_eq!(site.bao.requests_to(&path), 5);
}

/// On a cluster of its own, whose rights are taken away for a while.
async fn rights_come_back() {
    let site = LeaseSite::start().await;
    let tenant = site.tenant("comeback", LONG, "1h").await;
    let mut node = site.node("comeback").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    let allow = async |verbs: Value| {
        let patch = json!([{ "op": "replace", "path": "/rules/0/verbs", "value": verbs }]);
        let patch = format!("--patch={patch}");
        site.cluster.kubectl().run(["patch", "clusterrole", "coffer-csi-pods", "--type=json", &patch]).await;
    };
    // the list succeeds, and the watch that follows it does not
    allow(json!(["list"])).await;
    node.restart().await;
    let lists = || node.csi.log().matches("pods are watched").count();
    until("the watch to be refused", async || node.csi.log().contains("cannot be watched").then_some(()))
        .await;
    let before = lists();
    allow(json!(["list", "watch"])).await;
    until("another list", async || (lists() > before).then_some(())).await;
    assert_eq!(user(&node.mount(&tenant.call(&pod)).await), user(&first), "held all the while");
    tenant.namespace.delete_pod(&pod).await;
    site.nobody_left(&tenant).await;
}

async fn wrong_node_name(site: Arc<LeaseSite>) {
    let tenant = site.tenant("name", LONG, "1h").await;
    let mut node = site.node("name").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    node.csi.terminate();
    node.csi.wait().await;
    node.csi = node.options().env("NODE_NAME", "nowhere").start().await;
    until("the list to be doubted", async || node.csi.log().contains("is NODE_NAME right?").then_some(()))
        .await;
    let other = node.mount(&tenant.call(&pod)).await;
    assert_ne!(user(&other), user(&first), "nothing is kept whose end would not be noticed");
    let users = site.postgres.users(tenant.namespace.name());
    assert!(users.contains(&user(&first)), "nobody revoked it: {users:?}");
    node.restart().await;
    assert_eq!(user(&node.mount(&tenant.call(&pod)).await), user(&first));
    tenant.namespace.delete_pod(&pod).await;
    site.nobody_left(&tenant).await;
}

async fn without_rights(site: Arc<LeaseSite>) {
    let tenant = site.tenant("rights", SHORT, "1h").await;
    let mut node = site.node("rights").await;
    let pod = tenant.pod(&node).await;
    let name = tenant.namespace.name();
    node.csi.terminate();
    node.csi.wait().await;
    // as an account that may do nothing
    let kubeconfig = node.state().with_file_name("other.kubeconfig");
    site.cluster.account_kubeconfig(name, "app").await.write(&kubeconfig);
    node.csi = node.options().env("KUBECONFIG", &kubeconfig).start().await;
    until("the watch to be refused", async || node.csi.log().contains("cannot be watched").then_some(()))
        .await;
    assert!(node.csi.log().contains("\"list\" and \"watch\" on \"pods\""), "{}", node.csi.log());

    let token = ["create", "token", "app", "--namespace", name, "--audience=vault"];
    let token = site.cluster.kubectl().run(token).await;
    let call = tenant.call(&pod).token("vault", token.trim());
    let first = node.mount(&call).await;
    assert_ne!(user(&node.mount(&call).await), user(&first), "issued at every mount, as ever");
    tenant.namespace.delete_pod(&pod).await;
    // nobody revokes them: they end by themselves
    site.nobody_left(&tenant).await;
}
