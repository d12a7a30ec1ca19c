//! Faults of Vault, its operator and PostgreSQL: a lease is renewed as long as possible, and
//! replaced otherwise.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_tests::kubernetes::{LeaseNode, LeaseSetup, Tenant, user};
use coffer_tests::{
    FakeTime, LeaseTtls, MountCall, Mounted, Postgres, Relay, Suite, TestPod, until, until_true,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{LONG, SHORT};

pub(crate) fn tests(suite: Suite<LeaseSetup>) -> Suite<LeaseSetup> {
    suite
        .test("leases_survive_an_outage_of_vault", |_| vault_away())
        .test("an_outage_of_postgres_while_issuing_and_revoking", |_| postgres_away())
        .test("a_lease_that_an_operator_revoked_is_issued_again", lease_revoked)
        .test("a_token_that_an_operator_revoked_is_replaced_with_its_leases", token_revoked)
        .test("a_mount_that_finds_its_token_revoked_replaces_token_and_leases", token_revoked_unnoticed)
        .test("a_lease_with_a_shortened_ttl_is_still_renewed", time_cut)
        .test("a_lease_whose_renewal_is_refused_is_replaced_in_time", refused)
        .test("a_lease_that_vault_renews_again_is_kept", refused_for_a_while)
        .test("a_token_at_its_max_ttl_is_replaced_in_time", token_ends)
        .test("a_token_near_its_end_is_still_used_where_nobody_can_log_in", login_away)
        .test("few_renewals_run_at_a_time_however_many_are_due", |_| few_at_a_time())
        .test("the_wall_clock_may_step", clock_steps)
}

async fn another_user(node: &LeaseNode, call: &MountCall, than: &Mounted) -> Mounted {
    until("another user", async || {
        let mounted = node.mount(call).await;
        (user(&mounted) != user(than)).then_some(mounted)
    })
    .await
}

/// Vault is down, then slow, then sealed. Uses its own servers, because others need Vault.
async fn vault_away() {
    let setup = LeaseSetup::start().await;
    let tenant = setup.tenant("away", LeaseTtls { ttl: "30s", max_ttl: "1h" }, "1h").await;
    let relay = Relay::start(setup.bao.address()).await;
    let node = setup.node_by("away", relay.address()).await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod);
    let first = node.mount(&call).await;
    let renewal_fails = async |times: usize| {
        until_true("a renewal that fails", async || {
            assert_eq!(user(&node.mount(&call).await), user(&first), "the mount needs no answer of Vault");
            node.csi.log().matches("is not renewed yet").count() >= times
        })
        .await;
    };
    relay.refuse();
    renewal_fails(1).await;
    relay.pass();
    node.renewed(1).await;

    relay.hold("leases/renew");
    let before = relay.held();
    until_true("a renewal to hang", async || {
        assert_eq!(user(&node.mount(&call).await), user(&first));
        relay.held() > before
    })
    .await;
    relay.pass();
    node.renewed(2).await;

    let failed = node.csi.log().matches("is not renewed yet").count();
    setup.bao.seal().await;
    renewal_fails(failed + 1).await;
    setup.bao.unseal().await;
    node.renewed(3).await;
    assert_eq!(user(&node.mount(&call).await), user(&first));
    assert_eq!(setup.issued(&tenant.namespace), 1);
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn postgres_away() {
    let mut setup = LeaseSetup::start().await;
    let tenant = setup.tenant("nodb", LONG, "1h").await;
    let node = setup.node("nodb").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod);
    setup.postgres.kill();
    let refused = node.csi.mount(&call).await.unwrap_err();
    assert!(
        refused.message.contains(&format!("database/creds/{}", tenant.namespace.name())),
        "{}",
        refused.message
    );
    setup.postgres.start_again().await;
    until("a mount", async || node.csi.mount(&call).await.ok()).await;

    setup.postgres.kill();
    tenant.namespace.delete_pod(&pod).await;
    until_true("the agent to revoke the token", async || {
        let asked = setup.bao.requests_to("auth/token/revoke-self");
        asked > 0
    })
    .await;
    setup.postgres.start_again().await;
    setup.nobody_left(&tenant).await;
}

async fn lease_revoked(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("lease", SHORT, "1h").await;
    let node = setup.node("lease").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    let prefix = format!("sys/leases/revoke-prefix/database/creds/{}", tenant.namespace.name());
    setup.bao.admin(Method::PUT, &prefix, Value::Null).await;
    let second = another_user(&node, &tenant.call(&pod), &first).await;
    assert!(node.csi.log().contains("is gone, the next mount has it issued anew"), "{}", node.csi.log());
    assert_eq!(setup.postgres.users(tenant.namespace.name()), [user(&second)]);
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn token_revoked(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("token", SHORT, "1h").await;
    let node = setup.node("token").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    revoke_token_of(&setup, &tenant).await;
    let second = another_user(&node, &tenant.call(&pod), &first).await;
    assert!(node.csi.log().contains("Vault knows the token no more"), "{}", node.csi.log());
    assert_eq!(setup.postgres.users(tenant.namespace.name()), [user(&second)]);
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn token_revoked_unnoticed(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("both", LONG, "1h").await;
    let node = setup.node("both").await;
    let pod = tenant.pod(&node).await;
    let call = with_static(&setup, &tenant, &pod).await;
    let first = node.mount(&call).await;
    revoke_token_of(&setup, &tenant).await;
    let second = node.mount(&call).await;
    assert_ne!(user(&second), user(&first), "the denied read shows that the lease is revoked too");
    assert_eq!(user(&node.mount(&call).await), user(&second));
    until_true("the revoked token's user to be dropped", async || {
        setup.postgres.users(tenant.namespace.name()) == [user(&second)]
    })
    .await;
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn revoke_token_of(setup: &LeaseSetup, tenant: &Tenant) {
    let list = Method::from_bytes(b"LIST").unwrap();
    let listed = setup.bao.admin(list, "auth/token/accessors", Value::Null).await;
    for accessor in listed["data"]["keys"].as_array().unwrap() {
        let accessor = json!({ "accessor": accessor });
        // tokens of other tests come and go
        let token = setup.bao.try_admin(Method::POST, "auth/token/lookup-accessor", &accessor).await;
        let namespace = token
            .and_then(|token| token["data"]["meta"]["service_account_namespace"].as_str().map(str::to_owned));
        if namespace.as_deref() == Some(tenant.namespace.name()) {
            setup.bao.admin(Method::POST, "auth/token/revoke-accessor", accessor).await;
        }
    }
}

async fn time_cut(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("cut", LeaseTtls { ttl: "12s", max_ttl: "1h" }, "1h").await;
    let node = setup.node("cut").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    Postgres::role(&setup.bao, tenant.namespace.name(), LeaseTtls { ttl: "4s", max_ttl: "1h" }).await;
    node.renewed(4).await;
    assert_eq!(user(&node.mount(&tenant.call(&pod)).await), user(&first));
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn refused(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("refused", LeaseTtls { ttl: "30s", max_ttl: "1h" }, "1h").await;
    let node = setup.node("refused").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    // less than the age of the lease when its renewal is due
    Postgres::role(&setup.bao, tenant.namespace.name(), LeaseTtls { ttl: "5s", max_ttl: "5s" }).await;
    let second = another_user(&node, &tenant.call(&pod), &first).await;
    let users = setup.postgres.users(tenant.namespace.name());
    assert!(
        users.contains(&user(&first)) && users.contains(&user(&second)),
        "both users exist for a while: {users:?}"
    );
    assert!(node.csi.log().contains("past the max TTL"), "{}", node.csi.log());
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn refused_for_a_while(setup: Arc<LeaseSetup>) {
    let usual = LeaseTtls { ttl: "30s", max_ttl: "1h" };
    let tenant = setup.tenant("awhile", usual, "1h").await;
    let node = setup.node("awhile").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    let began = Instant::now();
    // less than the age of the lease when its renewal is due
    Postgres::role(&setup.bao, tenant.namespace.name(), LeaseTtls { ttl: "5s", max_ttl: "5s" }).await;
    until_true("a refusal in the lease's last third", async || {
        node.csi.log().contains("past the max TTL") && began.elapsed() > Duration::from_secs(21)
    })
    .await;
    Postgres::role(&setup.bao, tenant.namespace.name(), usual).await;
    assert_eq!(user(&node.mount(&tenant.call(&pod)).await), user(&first));
    assert_eq!(setup.issued(&tenant.namespace), 1);
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn token_ends(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("login", LONG, "15s").await;
    let tokens = json!({ "token_ttl": "15s", "token_max_ttl": "36s" });
    setup.login_role(tenant.namespace.name(), &tenant.namespace, tokens).await;
    let node = setup.node("login").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    let second = another_user(&node, &tenant.call(&pod), &first).await;
    let users = setup.postgres.users(tenant.namespace.name());
    assert!(
        users.contains(&user(&first)) && users.contains(&user(&second)),
        "both users exist for a while: {users:?}"
    );
    until_true("the first user to be dropped with its token", async || {
        !setup.postgres.users(tenant.namespace.name()).contains(&user(&first))
    })
    .await;
    tenant.namespace.delete_pod(&pod).await;
    setup.nobody_left(&tenant).await;
}

/// Where nobody can log in, a token near its end still reads, and its leases stay mounted.
async fn login_away(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("nologin", LONG, "30s").await;
    let name = tenant.namespace.name();
    let bound_to = |namespace: &str| json!({ "token_ttl": "30s", "token_max_ttl": "30s", "bound_service_account_namespaces": [namespace] });
    setup.login_role(name, &tenant.namespace, bound_to(name)).await;
    let node = setup.node("nologin").await;
    let pod = tenant.pod(&node).await;
    let call = with_static(&setup, &tenant, &pod).await;
    let first = node.mount(&call).await;
    setup.login_role(name, &tenant.namespace, bound_to("elsewhere")).await;
    until_true("a login that fails", async || {
        assert_eq!(user(&node.mount(&call).await), user(&first));
        node.csi.log().contains("what was issued before stays mounted while it lasts")
    })
    .await;
    setup.login_role(name, &tenant.namespace, bound_to(name)).await;
    let second = another_user(&node, &call, &first).await;
    assert_eq!(setup.issued(&tenant.namespace), 2);
    assert!(setup.postgres.users(name).contains(&user(&second)));
    tenant.namespace.delete_pod(&pod).await;
    setup.nobody_left(&tenant).await;
}

/// Returns a call for a class with a static secret beside the leased one.
async fn with_static(setup: &LeaseSetup, tenant: &Tenant, pod: &TestPod) -> MountCall {
    let name = tenant.namespace.name();
    setup.bao.kv_put(&format!("{name}/db"), json!({ "host": "db.example.com" })).await;
    let mut objects: Vec<Value> = serde_json::from_str(&tenant.objects).unwrap();
    let path = format!("secret/data/{name}/db");
    objects.push(json!({ "objectName": "host", "secretPath": path, "secretKey": "host" }));
    tenant.call(pod).objects(&Value::from(objects).to_string())
}

/// Uses its own Vault, so that only these renewals count.
async fn few_at_a_time() {
    const PODS: usize = 24;
    let setup = LeaseSetup::start().await;
    let tenant = setup.tenant("few", LeaseTtls { ttl: "60s", max_ttl: "1h" }, "1h").await;
    let relay = Relay::start(setup.bao.address()).await;
    let node = setup.node_by("few", relay.address()).await;
    let (mut pods, mut users) = (Vec::new(), Vec::new());
    for _ in 0..PODS {
        let pod = tenant.pod(&node).await;
        users.push(user(&node.mount(&tenant.call(&pod)).await));
        pods.push(pod);
    }
    relay.hold("leases/renew");
    until_true("all leases to be due", async || {
        let status = node.status().await;
        let due = status.lines().filter(|line| line.contains("lease") && line.contains(" 0s ")).count();
        due == PODS
    })
    .await;
    let asked = setup.bao.requests_to("sys/leases/renew");
    assert!((1..=8).contains(&asked), "{asked} renewals at once");
    relay.pass();
    until_true("all to be renewed", async || setup.bao.requests_to("sys/leases/renew") >= PODS).await;
    users.sort();
    let mut left = setup.postgres.users(tenant.namespace.name());
    left.sort();
    assert_eq!(left, users);
    setup.end(&tenant, &node, &pods.iter().collect::<Vec<_>>()).await;
}

/// Steps the clock an hour ahead, then two hours back.
async fn clock_steps(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("clock", SHORT, "1h").await;
    let mut node = setup.node("clock").await;
    let clock = FakeTime::new();
    let options = clock.options(node.options());
    node.restart_with(options.clone()).await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    for step in ["+1h", "-1h"] {
        clock.step(step);
        node.renewed_again().await;
        assert_eq!(user(&node.mount(&tenant.call(&pod)).await), user(&first), "{step}");
        node.stop().await;
        let log = node.csi.log();
        let hours: Vec<&str> = log.lines().map(|line| &line[.."2026-11-25T19".len()]).collect();
        assert_ne!(hours.first(), hours.last(), "{step}: the agent's clock did not step: {log}");
        node.csi = options.clone().start().await;
        assert_eq!(user(&node.mount(&tenant.call(&pod)).await), user(&first), "{step}");
    }
    assert_eq!(setup.issued(&tenant.namespace), 1);
    setup.end(&tenant, &node, &[&pod]).await;
}
