//! What Vault issues lives as long as its pod: one user of a real PostgreSQL, kept, renewed and revoked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::ExitCode;
use std::sync::Arc;

use coffer_tests::kubernetes::{LeaseSite, Suite, user};
use coffer_tests::{Terms, until};

/// Seconds that a test can wait for, and a life that it does not see the end of.
const SHORT: Terms<'static> = Terms { ttl: "6s", max_ttl: "1h" };
const ENDING: Terms<'static> = Terms { ttl: "5s", max_ttl: "12s" };
const LONG: Terms<'static> = Terms { ttl: "1h", max_ttl: "24h" };

fn main() -> ExitCode {
    Suite::new(LeaseSite::start)
        .test("one_user_is_kept_renewed_and_revoked_with_its_pod", one_user_is_kept)
        .test("a_user_that_vault_renews_no_further_is_replaced_once", replaced_once)
        .test("a_restart_logs_in_and_issues_nothing", a_restart_issues_nothing)
        .test("what_belonged_to_pods_that_vanished_meanwhile_is_revoked", pods_that_vanished)
        .run()
}

async fn one_user_is_kept(site: Arc<LeaseSite>) {
    let tenant = site.tenant("kept", SHORT, "1h").await;
    let node = site.node("kept").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod);
    let first = node.mount(&call).await;
    let renewals = async || node.csi.metrics().await.sum("coffer_vault_requests_total", &["kind=\"renew\""]);
    until("the third renewal, past the first end", async || (renewals().await >= 3.0).then_some(())).await;

    let again = node.mount(&call).await;
    assert_eq!((user(&again), &again.versions), (user(&first), &first.versions));
    assert_eq!(site.postgres.users(tenant.namespace.name()), [user(&first)]);
    assert_eq!(
        (site.issued(&tenant.namespace), node.csi.metrics().await.sum("coffer_logins_total", &[])),
        (1, 1.0)
    );

    let status = node.status().await;
    for told in [&pod.name, "lease", "user,password", &format!("database/creds/{}", tenant.namespace.name())]
    {
        assert!(status.contains(told), "{told} in {status}");
    }
    assert!(!status.contains(again.text("password")) && !status.contains(&user(&again)), "{status}");

    tenant.namespace.delete_pod(&pod).await;
    site.nobody_left(&tenant).await;
}

async fn replaced_once(site: Arc<LeaseSite>) {
    let tenant = site.tenant("replaced", ENDING, "1h").await;
    let node = site.node("replaced").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod);
    let first = node.mount(&call).await;
    let second = until("another user", async || {
        let mounted = node.mount(&call).await;
        (user(&mounted) != user(&first)).then_some(mounted)
    })
    .await;
    assert_ne!(first.versions, second.versions);
    let users = site.postgres.users(tenant.namespace.name());
    assert!(
        users.contains(&user(&first)) && users.contains(&user(&second)),
        "both hold for a while: {users:?}"
    );
    assert_eq!(user(&node.mount(&call).await), user(&second), "changed once");
    assert_eq!(site.issued(&tenant.namespace), 2);

    tenant.namespace.delete_pod(&pod).await;
    site.nobody_left(&tenant).await;
}

async fn a_restart_issues_nothing(site: Arc<LeaseSite>) {
    let tenant = site.tenant("restart", LONG, "1h").await;
    let mut node = site.node("restart").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod);
    let first = node.mount(&call).await;
    node.restart().await;
    assert_eq!(user(&node.mount(&call).await), user(&first));
    until("the store to have the user", async || {
        let stored = std::fs::read_dir(node.state()).unwrap().flatten();
        let has_user = |path| std::fs::read_to_string(path).is_ok_and(|text| text.contains(&user(&first)));
        stored.map(|entry| entry.path()).any(has_user).then_some(())
    })
    .await;
    node.kill_and_start().await;
    assert_eq!(user(&node.mount(&call).await), user(&first));
    assert_eq!(site.issued(&tenant.namespace), 1);
    let metrics = node.csi.metrics().await;
    assert_eq!(metrics.sum("coffer_logins_total", &[]), 0.0);

    tenant.namespace.delete_pod(&pod).await;
    site.nobody_left(&tenant).await;
}

async fn pods_that_vanished(site: Arc<LeaseSite>) {
    let tenant = site.tenant("vanished", LONG, "1h").await;
    let mut node = site.node("vanished").await;
    let (gone, stays) = (tenant.pod(&node).await, tenant.pod(&node).await);
    node.mount(&tenant.call(&gone)).await;
    let kept = node.mount(&tenant.call(&stays)).await;
    node.csi.terminate();
    node.csi.wait().await;
    tenant.namespace.delete_pod(&gone).await;
    node.csi = node.options().start().await;
    until("the vanished pod's user to be gone", async || {
        (site.postgres.users(tenant.namespace.name()) == [user(&kept)]).then_some(())
    })
    .await;
    assert_eq!(user(&node.mount(&tenant.call(&stays)).await), user(&kept));

    tenant.namespace.delete_pod(&stays).await;
    site.nobody_left(&tenant).await;
}
