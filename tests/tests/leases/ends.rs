//! How leases end: with their pod, and only when kube-apiserver has said that the pod is gone.

use std::sync::Arc;

use coffer_tests::kubernetes::{Kubeconfig, LeaseNode, LeaseSetup, user};
use coffer_tests::{CEILING, LeaseTtls, Relay, Suite, TestPod, until_true, until_true_within};
use serde_json::{Value, json};

use crate::{LONG, SHORT};

pub(crate) fn tests(suite: Suite<LeaseSetup>) -> Suite<LeaseSetup> {
    suite
        .test("a_pod_deleted_during_its_first_mount_leaves_nothing", deleted_during_its_first_mount)
        .test("a_succeeded_pod_counts_as_deleted", finished)
        .test("a_new_pod_with_an_old_name_gets_its_own_lease", a_new_pod_of_an_old_name)
        .test("revoke_on_shutdown_leaves_no_users", revoke_on_shutdown)
        .test("leases_survive_an_outage_of_kube_apiserver", |_| kube_apiserver_away())
        .test("leases_survive_a_silent_network_cut_to_kube_apiserver", cut_off)
        .test("without_rights_on_pods_leases_are_not_managed", without_rights)
        .test("losing_and_regaining_rights_on_pods_revokes_nothing", |_| rights_come_and_go())
        .test("a_failed_revocation_is_logged_and_counted", may_not_revoke)
        .test("a_wrong_node_name_revokes_nothing", wrong_node_name)
}

async fn deleted_during_its_first_mount(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("deleted", LONG, "1h").await;
    let relay = Relay::start(setup.bao.address()).await;
    let node = setup.node_by("deleted", relay.address()).await;
    let (pod, idle) = (tenant.pod(&node).await, tenant.pod(&node).await);
    node.mount(&tenant.call(&idle)).await;
    let mount = setup.held_mount(&tenant, &node, &relay, &pod).await;
    tenant.namespace.delete_pod(&pod).await;
    until_true("the agent to notice", async || revoking(&node, &pod).await).await;
    // the grace period of a pod that was deleted later has passed, and so has the first pod's
    tenant.namespace.delete_pod(&idle).await;
    until_true("the other pod's token to be revoked", async || node.revoked().await == 1).await;
    assert!(revoking(&node, &pod).await, "the mount is still running");
    relay.pass();
    assert!(mount.await.unwrap());
    setup.nobody_left(&tenant).await;
}

/// Returns whether the agent reports that it is revoking a pod's leases.
async fn revoking(node: &LeaseNode, pod: &TestPod) -> bool {
    node.status().await.lines().any(|line| line.contains(&pod.name) && line.contains("revoking"))
}

async fn finished(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("finished", LONG, "1h").await;
    let node = setup.node("finished").await;
    let pod = tenant.pod(&node).await;
    node.mount(&tenant.call(&pod)).await;
    let patch = [
        "patch",
        "pod",
        &pod.name,
        "--namespace",
        tenant.namespace.name(),
        "--subresource=status",
        "--type=merge",
        r#"--patch={"status":{"phase":"Succeeded"}}"#,
    ];
    setup.cluster.kubectl().run(patch).await;
    setup.nobody_left(&tenant).await;
}

async fn a_new_pod_of_an_old_name(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("renamed", LONG, "1h").await;
    let node = setup.node("renamed").await;
    let old = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&old)).await;
    tenant.namespace.delete_pod(&old).await;
    let new = tenant.namespace.make_pod(old.clone(), node.name(), "db").await;
    assert_ne!(new.uid, old.uid);
    let second = node.mount(&tenant.call(&new)).await;
    assert_ne!(user(&second), user(&first));
    until_true("the old pod's user to be dropped", async || {
        setup.postgres.users(tenant.namespace.name()) == [user(&second)]
    })
    .await;
    setup.end(&tenant, &node, &[&new]).await;
}

async fn revoke_on_shutdown(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("uninstall", LONG, "1h").await;
    let mut node = setup.node("uninstall").await;
    node.restart_with(node.options().flag("-revoke-on-shutdown")).await;
    for _ in 0..3 {
        let pod = tenant.pod(&node).await;
        node.mount(&tenant.call(&pod)).await;
    }
    // a deleted pod whose grace period ends after the agent
    let gone = tenant.pod(&node).await;
    node.mount(&tenant.call(&gone)).await;
    tenant.namespace.delete_pod(&gone).await;
    until_true("the agent to notice", async || revoking(&node, &gone).await).await;
    node.csi.terminate();
    assert!(node.csi.wait().await.success());
    setup.nobody_left(&tenant).await;
}

/// Uses its own cluster, because it takes kube-apiserver away.
async fn kube_apiserver_away() {
    let setup = LeaseSetup::start().await;
    let tenant = setup.tenant("away", SHORT, "1h").await;
    let mut node = setup.node("away").await;
    let (stays, goes) = (tenant.pod(&node).await, tenant.pod(&node).await);
    let first = node.mount(&tenant.call(&stays)).await;
    node.mount(&tenant.call(&goes)).await;
    setup.cluster.api_server().kill();
    // past the end of the first TTL
    node.renewed(5).await;
    assert_eq!(user(&node.mount(&tenant.call(&stays)).await), user(&first));
    assert_eq!(
        setup.postgres.users(tenant.namespace.name()).len(),
        2,
        "revoked without word from kube-apiserver"
    );
    // not even for an agent that knows the pods only from its state directory; the HMAC key is a
    // file here
    node.kill_and_start().await;
    assert_eq!(user(&node.mount(&tenant.call(&stays)).await), user(&first));

    setup.cluster.api_server().start_again().await;
    tenant.namespace.delete_pod(&goes).await;
    until_true("the deleted pod's user to be dropped", async || {
        setup.postgres.users(tenant.namespace.name()) == [user(&first)]
    })
    .await;
    setup.end(&tenant, &node, &[&stays]).await;
}

async fn cut_off(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("cutoff", LeaseTtls { ttl: "30s", max_ttl: "1h" }, "1h").await;
    let relay = Relay::start(&setup.cluster.coffer_kubeconfig().await.server).await;
    let mut node = setup.node("cutoff").await;
    let kubeconfig = node.state().with_file_name("relayed.kubeconfig");
    let direct = setup.cluster.coffer_kubeconfig().await;
    Kubeconfig { server: relay.address().to_owned(), ..direct }.write(&kubeconfig);
    node.restart_with(node.options().env("KUBECONFIG", &kubeconfig)).await;
    let (stays, goes) = (tenant.pod(&node).await, tenant.pod(&node).await);
    let first = node.mount(&tenant.call(&stays)).await;
    node.mount(&tenant.call(&goes)).await;

    relay.cut();
    tenant.namespace.delete_pod(&goes).await;
    let noticed = async || node.csi.log().contains("cannot be watched, trying again");
    until_true_within(3 * CEILING, "the agent to notice the cut", noticed).await;
    assert_eq!(user(&node.mount(&tenant.call(&stays)).await), user(&first));
    assert_eq!(
        setup.postgres.users(tenant.namespace.name()).len(),
        2,
        "revoked without word from kube-apiserver"
    );
    // connections that were open stay dead
    relay.pass();
    until_true_within(3 * CEILING, "the deleted pod's user to be dropped", async || {
        setup.postgres.users(tenant.namespace.name()) == [user(&first)]
    })
    .await;
    setup.end(&tenant, &node, &[&stays]).await;
}

/// Uses its own cluster, because it takes rights away.
async fn rights_come_and_go() {
    let setup = LeaseSetup::start().await;
    let tenant = setup.tenant("comeback", LONG, "1h").await;
    let node = setup.node("comeback").await;
    let pods = [tenant.pod(&node).await, tenant.pod(&node).await, tenant.pod(&node).await];
    let mut users = Vec::new();
    for pod in &pods {
        users.push(user(&node.mount(&tenant.call(pod)).await));
    }
    let allow = async |verbs: Value| {
        let patch = json!([{ "op": "replace", "path": "/rules/0/verbs", "value": verbs }]);
        let patch = format!("--patch={patch}");
        setup.cluster.kubectl().run(["patch", "clusterrole", "coffer-csi-pods", "--type=json", &patch]).await;
    };
    let gone = async |user: &str| {
        until_true("the deleted pod's user to be dropped", async || {
            !setup.postgres.users(tenant.namespace.name()).contains(&user.to_owned())
        })
        .await;
    };
    let restarted = async || {
        // ends the open watch
        setup.cluster.api_server().kill();
        setup.cluster.api_server().start_again().await;
    };
    // neither of the two rights
    allow(json!(["get"])).await;
    restarted().await;
    until_true("the watch to be refused", async || {
        node.csi.log().contains("\"list\" and \"watch\" on \"pods\"")
    })
    .await;
    tenant.namespace.delete_pod(&pods[0]).await;
    assert_eq!(user(&node.mount(&tenant.call(&pods[1])).await), users[1], "still reused");
    // with `list` alone, deleted pods are noticed by listing
    allow(json!(["list"])).await;
    gone(&users[0]).await;
    tenant.namespace.delete_pod(&pods[1]).await;
    gone(&users[1]).await;
    let warnings = node.csi.log().matches("cannot watch resource").count();
    assert_eq!(warnings, 1, "logged once, not at every list");
    allow(json!(["list", "watch"])).await;
    assert_eq!(user(&node.mount(&tenant.call(&pods[2])).await), users[2], "still reused");
    setup.end(&tenant, &node, &[&pods[2]]).await;
}

/// The role's tokens may only do what the class asks for.
async fn may_not_revoke(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("forbidden", LONG, "20s").await;
    let tokens = json!({ "token_ttl": "20s", "token_no_default_policy": true });
    setup.login_role(tenant.namespace.name(), &tenant.namespace, tokens).await;
    let node = setup.node("forbidden").await;
    let pod = tenant.pod(&node).await;
    node.mount(&tenant.call(&pod)).await;
    tenant.namespace.delete_pod(&pod).await;
    until_true("the agent to give up", async || node.csi.log().contains("cannot be revoked and ends in"))
        .await;
    let log = node.csi.log();
    assert!(log.contains("auth/token/revoke-self") && log.contains(&pod.name), "{log}");
    let given_up = node.csi.metrics().await.sum("coffer_revocations_total", &["outcome=\"given_up\""]);
    assert!((given_up - 1.0).abs() < 0.5, "{given_up}");
    // when the token's TTL ends
    setup.nobody_left(&tenant).await;
}

async fn wrong_node_name(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("name", LONG, "1h").await;
    let (mut node, other) = (setup.node("name").await, setup.node("others-name").await);
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    for name in ["nowhere", other.name()] {
        node.restart_with(node.options().env("NODE_NAME", name)).await;
        reports_unmanaged_leases(&node, "take NODE_NAME from spec.nodeName").await;
        let issued = node.mount(&tenant.call(&pod)).await;
        assert_ne!(user(&issued), user(&first), "a lease was reused although the pod cannot be watched");
        let users = setup.postgres.users(tenant.namespace.name());
        assert!(users.contains(&user(&first)), "the first user was revoked: {users:?}");
    }
    node.restart().await;
    assert_eq!(user(&node.mount(&tenant.call(&pod)).await), user(&first));
    setup.end(&tenant, &node, &[&pod]).await;
}

/// Waits until the agent reports that it does not manage leases, with that reason.
async fn reports_unmanaged_leases(node: &LeaseNode, reason: &str) {
    let says = |line: &str| line.contains("leases are not kept, renewed or revoked") && line.contains(reason);
    until_true_within(2 * CEILING, "the agent to report that it manages no leases", async || {
        node.csi.log().lines().any(says)
    })
    .await;
}

async fn without_rights(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("rights", SHORT, "1h").await;
    let mut node = setup.node("rights").await;
    let pod = tenant.pod(&node).await;
    let name = tenant.namespace.name();
    node.stop().await;
    // as an account without rights
    let kubeconfig = node.state().with_file_name("other.kubeconfig");
    setup.cluster.account_kubeconfig(name, "app").await.write(&kubeconfig);
    node.csi = node.options().env("KUBECONFIG", &kubeconfig).start().await;
    reports_unmanaged_leases(&node, "\"list\" and \"watch\" on \"pods\"").await;

    let token = ["create", "token", "app", "--namespace", name, "--audience=vault"];
    let token = setup.cluster.kubectl().run(token).await;
    let call = tenant.call(&pod).token("vault", token.trim());
    let first = node.mount(&call).await;
    assert_ne!(user(&node.mount(&call).await), user(&first), "every mount issues a user");
    tenant.namespace.delete_pod(&pod).await;
    // nobody revokes these leases: their TTL ends
    setup.nobody_left(&tenant).await;
}
