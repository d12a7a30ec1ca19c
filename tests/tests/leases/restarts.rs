//! Leases survive the agent's restart, whether it ends or is killed.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use coffer_tests::kubernetes::{LeaseSetup, user};
use coffer_tests::{LeaseTtls, Relay, Suite, TestPod, until, until_true};
use futures_util::future::join_all;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{Signal, kill};
use tokio::time::sleep;

use crate::LONG;

/// The log message about a request whose answer was lost.
const ANSWER_LOST: &str = "no answer came while this path was asked for";

pub(crate) fn tests(suite: Suite<LeaseSetup>) -> Suite<LeaseSetup> {
    suite
        .test("a_restart_logs_in_and_issues_nothing", a_restart_issues_nothing)
        .test("an_agent_killed_while_issuing_logs_what_may_be_lost", killed_while_it_issues)
        .test("an_agent_ended_while_issuing_logs_what_may_be_lost", ended_while_it_issues)
        .test("an_agent_killed_while_renewing_renews_again", killed_while_it_renews)
        .test("an_agent_killed_while_storing_finds_the_old_or_the_new_record", killed_while_it_stores)
        .test("an_agent_killed_at_any_time_logs_every_lost_lease", killed_at_any_moment)
        .test("leases_of_pods_deleted_during_a_restart_are_revoked", pods_that_vanished)
        .test("a_second_agent_waits_for_the_first_to_end", two_agents)
        .test("a_second_agent_on_a_node_mounts_without_leases", gives_up)
}

async fn a_restart_issues_nothing(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("restart", LONG, "1h").await;
    let mut node = setup.node("restart").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod);
    let first = node.mount(&call).await;
    node.restart().await;
    assert_eq!(user(&node.mount(&call).await), user(&first));
    until_true("the state directory to contain the user", async || {
        let has_user = |path| fs::read_to_string(path).is_ok_and(|text| text.contains(&user(&first)));
        node.records().into_iter().any(has_user)
    })
    .await;
    node.kill_and_start().await;
    assert_eq!(user(&node.mount(&call).await), user(&first));
    assert_eq!(setup.issued(&tenant.namespace), 1);
    let metrics = node.csi.metrics().await;
    assert_eq!(metrics.sum("coffer_logins_total", &[]), 0.0);

    setup.end(&tenant, &node, &[&pod]).await;
}

async fn killed_while_it_issues(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("killed", LONG, "1h").await;
    let relay = Relay::start(setup.bao.address()).await;
    let mut node = setup.node_by("killed", relay.address()).await;
    let pod = tenant.pod(&node).await;
    let mount = setup.held_mount(&tenant, &node, &relay, &pod).await;
    node.csi.kill();
    node.csi.wait().await;
    assert!(!mount.await.unwrap());
    relay.pass();

    node.csi = node.options().start().await;
    let path = format!("database/creds/{}", tenant.namespace.name());
    let log = node.csi.log();
    let lost = log.lines().find(|line| line.contains(ANSWER_LOST));
    assert!(lost.is_some_and(|line| line.contains(&path) && line.contains(&pod.name)), "{log}");
    node.mount(&tenant.call(&pod)).await;
    assert_eq!(setup.postgres.users(tenant.namespace.name()).len(), 2, "the lost user and the user in use");

    setup.end(&tenant, &node, &[&pod]).await;
}

async fn ended_while_it_issues(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("ended", LONG, "1h").await;
    let relay = Relay::start(setup.bao.address()).await;
    let mut node = setup.node_by("ended", relay.address()).await;
    let pod = tenant.pod(&node).await;
    let mount = setup.held_mount(&tenant, &node, &relay, &pod).await;
    node.stop().await;
    assert!(!mount.await.unwrap());
    let log = node.csi.log();
    let lost = log.lines().find(|line| line.contains(ANSWER_LOST));
    assert!(lost.is_some_and(|line| line.contains("database/creds/") && line.contains(&pod.name)), "{log}");
    relay.pass();
    node.csi = node.options().start().await;
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn killed_while_it_renews(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("renews", LeaseTtls { ttl: "20s", max_ttl: "1h" }, "1h").await;
    let relay = Relay::start(setup.bao.address()).await;
    let mut node = setup.node_by("renews", relay.address()).await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    relay.hold("leases/renew");
    until_true("the renewal to be running", async || relay.held() > 0).await;
    node.csi.kill();
    node.csi.wait().await;
    relay.pass();
    node.csi = node.options().start().await;
    node.renewed(1).await;
    assert_eq!(user(&node.mount(&tenant.call(&pod)).await), user(&first));
    assert_eq!(setup.issued(&tenant.namespace), 1);
    setup.end(&tenant, &node, &[&pod]).await;
}

/// The agent is killed at a random moment: while it issues, stores, renews or revokes.
async fn killed_at_any_moment(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("anytime", LONG, "1h").await;
    let relay = Relay::start(setup.bao.address()).await;
    let mut node = setup.node_by("anytime", relay.address()).await;
    let (mut pods, mut used): (Vec<TestPod>, Vec<String>) = (Vec::new(), Vec::new());
    for round in 0..10 {
        let before = pods.split_off(0);
        pods = join_all((0..5).map(|_| tenant.pod(&node))).await;
        let mounts = pods.iter().map(|pod| {
            let (mut client, request) = (node.csi.client(), tenant.call(pod).request());
            tokio::spawn(async move { client.mount(request).await.is_ok() })
        });
        let mounts: Vec<_> = mounts.collect();
        for pod in &before {
            tenant.namespace.delete_pod(pod).await;
        }
        sleep(Duration::from_millis(30 * round)).await;
        node.kill_and_start().await;
        join_all(mounts).await;
        let lost = node.csi.log().matches(ANSWER_LOST).count();
        used.clear();
        for pod in &pods {
            used.push(user(&node.mount(&tenant.call(pod)).await));
        }
        let gone = || setup.postgres.users(tenant.namespace.name()).len() <= used.len() + lost;
        until_true("only users in use and logged lost users", async || gone()).await;
    }
    let users = setup.postgres.users(tenant.namespace.name());
    assert!(used.iter().all(|user| users.contains(user)), "{used:?} are in use, {users:?} are there");
    for pod in &pods {
        tenant.namespace.delete_pod(pod).await;
    }
    setup.nobody_left(&tenant).await;
}

/// A record is written to a temporary file and renamed: the kill comes when that file is created.
async fn killed_while_it_stores(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("stores", LONG, "1h").await;
    let relay = Relay::start(setup.bao.address()).await;
    let mut node = setup.node_by("stores", relay.address()).await;
    let mut pods: Vec<(TestPod, String)> = Vec::new();
    for _ in 0..8 {
        let pod = tenant.pod(&node).await;
        let (mut client, request) = (node.csi.client(), tenant.call(&pod).request());
        let writes = Inotify::init(InitFlags::empty()).unwrap();
        writes.add_watch(&node.state(), AddWatchFlags::IN_CREATE).unwrap();
        let agent = node.csi.process().pid();
        let killed = tokio::task::spawn_blocking(move || {
            let begun = writes.read_events().unwrap();
            kill(agent, Signal::SIGKILL).unwrap();
            begun[0].name.clone().is_some_and(|name| name.to_string_lossy().ends_with(".tmp"))
        });
        let mount = tokio::spawn(async move { client.mount(request).await.is_ok() });
        assert!(killed.await.unwrap(), "a record was being written");
        mount.await.unwrap();
        node.csi.wait().await;
        node.csi = node.options().start().await;
        let log = node.csi.log();
        assert!(!log.contains("not a stored session"), "{log}");
        for (pod, before) in &pods {
            assert_eq!(user(&node.mount(&tenant.call(pod)).await), *before);
        }
        let mounted = node.mount(&tenant.call(&pod)).await;
        pods.push((pod, user(&mounted)));
    }
    setup.end(&tenant, &node, &pods.iter().map(|(pod, _)| pod).collect::<Vec<_>>()).await;
}

async fn pods_that_vanished(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("vanished", LONG, "1h").await;
    let mut node = setup.node("vanished").await;
    let (gone, stays) = (tenant.pod(&node).await, tenant.pod(&node).await);
    node.mount(&tenant.call(&gone)).await;
    let first = node.mount(&tenant.call(&stays)).await;
    node.stop().await;
    tenant.namespace.delete_pod(&gone).await;
    node.csi = node.options().start().await;
    until_true("the deleted pod's user to be dropped", async || {
        setup.postgres.users(tenant.namespace.name()) == [user(&first)]
    })
    .await;
    assert_eq!(user(&node.mount(&tenant.call(&stays)).await), user(&first));

    setup.end(&tenant, &node, &[&stays]).await;
}

async fn two_agents(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("update", LONG, "1h").await;
    let mut node = setup.node("update").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod);
    let first = node.mount(&call).await;
    let second = node.options().spawn();
    assert_eq!(user(&node.mount(&call).await), user(&first), "the first agent still serves");
    node.stop().await;
    node.csi = second;
    until("the second agent to serve", async || node.csi.version().await.ok()).await;
    assert_eq!(user(&node.mount(&call).await), user(&first));
    assert_eq!(setup.issued(&tenant.namespace), 1);
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn gives_up(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("beside", LeaseTtls { ttl: "30s", max_ttl: "1h" }, "1h").await;
    let mut node = setup.node("beside").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod);
    let first = node.mount(&call).await;
    // on its own socket, like a second installation on the node
    let elsewhere = tempfile::tempdir().unwrap();
    let mut second = node.options().socket(&elsewhere.path().join("vault.sock")).start().await;
    let log = second.log();
    assert!(log.contains("leases are not kept") && log.contains("another coffer-csi on this node"), "{log}");
    let others = [second.mount(&call).await.unwrap(), second.mount(&call).await.unwrap()];
    assert_ne!(user(&others[0]), user(&others[1]), "the second agent issues at every mount");
    assert_eq!(user(&node.mount(&call).await), user(&first));

    // when the first agent ends, the second does not take over but ends as well, so that its next
    // start can
    node.stop().await;
    assert!(second.wait().await.success());
    assert!(second.log().contains("the state directory is free now"), "{}", second.log());
    node.csi = node.options().start().await;
    assert_eq!(user(&node.mount(&call).await), user(&first));
    // the second agent's leases end with their TTL
    setup.end(&tenant, &node, &[&pod]).await;
}
