//! Credentials that live as long as their pod: renewed, and revoked when the pod is deleted.

use std::time::Instant;

use coffer_tests::kubernetes::LeaseSetup;
use coffer_tests::{LeaseTtls, Mounted, until_true};

use crate::say;

/// Shows a user of a real PostgreSQL, from its pod's first mount to the pod's deletion.
pub(crate) async fn show() {
    say(
        "kube-apiserver, OpenBao and PostgreSQL start; OpenBao issues users that live 9 s, and longer when renewed",
    );
    let setup = LeaseSetup::start().await;
    let tenant = setup.tenant("shop", LeaseTtls { ttl: "9s", max_ttl: "1h" }, "1h").await;
    let mut node = setup.node("node-1").await;
    let pod = tenant.pod(&node).await;

    say("A pod mounts user and password; coffer-csi restarts; the pod is republished after two renewals");
    let call = tenant.call(&pod);
    let first = node.mount(&call).await;
    println!("    first mount:  user {}", user(&first));
    node.restart().await;
    let renewals = async || node.csi.metrics().await.sum("coffer_vault_requests_total", &["kind=\"renew\""]);
    until_true("the second renewal", async || renewals().await >= 2.0).await;
    println!("    republished:  user {}, renewed {} times", user(&node.mount(&call).await), renewals().await);
    let in_postgres = setup.postgres.users(tenant.namespace.name());
    println!("    in PostgreSQL: {}", in_postgres.join(", "));

    say("`coffer status` lists the node's leases");
    node.status().await.lines().for_each(|line| println!("    {line}"));

    say("The pod is deleted");
    let begun = Instant::now();
    setup.end(&tenant, &node, &[&pod]).await;
    println!(
        "    in PostgreSQL: nobody, {:.1} s later; {} token revoked, and all that was issued to it",
        begun.elapsed().as_secs_f64(),
        node.revoked().await
    );
}

fn user(mounted: &Mounted) -> &str {
    mounted.text("user")
}
