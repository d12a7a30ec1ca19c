//! coffer-csi and what Vault issues: 250 pods with two leased objects each, republished over and over.

use std::time::{Duration, Instant};

use coffer_proto::v1alpha1::MountRequest;
use coffer_tests::kubernetes::{LeaseNode, LeaseSetup, Tenant};
use coffer_tests::{LeaseTtls, Postgres, ScrapedMetrics, TestPod, until};
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::time::sleep_until;

use crate::progress;
use crate::series::{mib, milliseconds};

const PODS: usize = 250;
const AT_ONCE: usize = 10;

/// Time is sped up: what is renewed every forty minutes of an hour's lease is renewed every forty seconds here.
const TERMS: LeaseTtls<'static> = LeaseTtls { ttl: "60s", max_ttl: "24h" };
const REPUBLISH: Duration = Duration::from_secs(5);
const REPUBLISHES: usize = 30;

/// Measures, and prints the table.
pub(crate) async fn measure() {
    progress("etcd, kube-apiserver, OpenBao, PostgreSQL and coffer-csi start");
    let site = LeaseSetup::start().await;
    let tenant = tenant(&site).await;
    let mut node = site.node("bench").await;
    progress("250 pods mount for the first time");
    let pods: Vec<TestPod> =
        stream::iter(0..PODS).map(|_| tenant.pod(&node)).buffer_unordered(AT_ONCE).collect().await;
    mount_all(&node, &tenant, &pods).await;
    progress("they are republished for two and a half minutes");
    let upkeep = republish(&site, &node, &tenant, &pods).await;
    let issued = issued(&site, &tenant);
    let resident = node.csi.process().resident_kib();
    progress("ten thousand more, for the CPU time");
    let cpu = cpu_of_a_republish(&node, &tenant, &pods).await;
    progress("a restart, and the ends of pods");
    let ready = restart(&mut node).await;
    let after_restart = node.csi.metrics().await;
    mount_all(&node, &tenant, &pods).await;
    let again = node.csi.metrics().await;
    let one = end(&site, &tenant, &pods[..1]).await;
    let others = end(&site, &tenant, &pods[1..]).await;

    println!("\n| what | |\n|---|---:|");
    println!("| users issued for {PODS} pods x 2 objects, after {REPUBLISHES} republishes | {issued} |");
    println!(
        "| Vault requests meanwhile, to the renewals among them | {:.3} x |",
        upkeep.requests as f64 / upkeep.renewals as f64
    );
    println!("| renewals meanwhile, each lease after 36 to 40 of its 60 s | {} |", upkeep.renewals);
    println!("| CPU of a republish, nothing asked of Vault | {cpu:.3} ms |");
    println!("| resident memory, 500 leases held | {} |", mib(resident));
    println!("| restart: ready after | {:.0} ms |", milliseconds(ready));
    println!("| restart: logins and issues, all republished | {:.0} |", logins_and_reads(&again));
    println!(
        "| Vault requests between restart and that | {:.0} |",
        requests(&again) - requests(&after_restart)
    );
    println!("| one pod deleted: its users gone after | {:.1} s |", one.as_secs_f64());
    println!("| 249 pods deleted at once: all users gone after | {:.1} s |", others.as_secs_f64());
}

/// Requests that came to OpenBao, by its audit log.
struct Upkeep {
    requests: usize,
    renewals: usize,
}

/// An account whose pods mount two users, each of a role of its own.
async fn tenant(site: &LeaseSetup) -> Tenant {
    let mut tenant = site.tenant("one", TERMS, "24h").await;
    let one = tenant.namespace.name().to_owned();
    Postgres::role(&site.bao, "two", TERMS).await;
    let allow = |role: &str| format!("path \"database/creds/{role}\" {{ capabilities = [\"read\"] }}\n");
    site.bao.policy(&one, &(allow(&one) + &allow("two"))).await;
    let object = |name: &str, role: &str| json!({ "objectName": name, "secretPath": format!("database/creds/{role}") });
    tenant.objects = json!([object("one", &one), object("two", "two")]).to_string();
    tenant
}

async fn mount_all(node: &LeaseNode, tenant: &Tenant, pods: &[TestPod]) {
    let requests: Vec<MountRequest> = pods.iter().map(|pod| tenant.call(pod).request()).collect();
    let mounts = stream::iter(requests).map(|request| {
        let mut client = node.csi.client();
        async move { client.mount(request).await.expect("a mount") }
    });
    mounts.buffer_unordered(AT_ONCE).for_each(async |_| {}).await;
}

async fn republish(site: &LeaseSetup, node: &LeaseNode, tenant: &Tenant, pods: &[TestPod]) -> Upkeep {
    let before = site.bao.requests().len();
    let begun = Instant::now();
    for n in 1..=u32::try_from(REPUBLISHES).expect("a few") {
        mount_all(node, tenant, pods).await;
        sleep_until((begun + REPUBLISH * n).into()).await;
    }
    let made = site.bao.requests().split_off(before);
    let is_renewal = |path: &str| matches!(path, "sys/leases/renew" | "auth/token/renew-self");
    Upkeep { requests: made.len(), renewals: made.iter().filter(|request| is_renewal(&request.path)).count() }
}

/// CPU time of one, of ten thousand. The few renewals that fall into that time are counted along.
async fn cpu_of_a_republish(node: &LeaseNode, tenant: &Tenant, pods: &[TestPod]) -> f64 {
    const TIMES: usize = 40;
    let before = node.csi.process().cpu_time();
    for _ in 0..TIMES {
        mount_all(node, tenant, pods).await;
    }
    milliseconds(node.csi.process().cpu_time() - before) / (TIMES * pods.len()) as f64
}

async fn restart(node: &mut LeaseNode) -> Duration {
    node.csi.terminate();
    node.csi.wait().await;
    let begun = Instant::now();
    node.csi = node.options().start().await;
    begun.elapsed()
}

/// Deletes pods, and waits until PostgreSQL has none of their users any more.
async fn end(site: &LeaseSetup, tenant: &Tenant, pods: &[TestPod]) -> Duration {
    let left = users(site) - 2 * pods.len();
    let begun = Instant::now();
    stream::iter(pods).for_each_concurrent(AT_ONCE, |pod| tenant.namespace.delete_pod(pod)).await;
    until("the users to be gone", async || (users(site) == left).then_some(())).await;
    begun.elapsed()
}

/// How often OpenBao was asked for a user, by its audit log.
fn issued(site: &LeaseSetup, tenant: &Tenant) -> usize {
    let roles = [tenant.namespace.name(), "two"];
    roles.iter().map(|role| site.bao.requests_to(&format!("database/creds/{role}"))).sum()
}

fn users(site: &LeaseSetup) -> usize {
    site.postgres.users("%").len()
}

fn requests(metrics: &ScrapedMetrics) -> f64 {
    metrics.sum("coffer_vault_requests_total", &[])
}

fn logins_and_reads(metrics: &ScrapedMetrics) -> f64 {
    let of = |kind| metrics.sum("coffer_vault_requests_total", &[kind]);
    // a sum of nothing is -0
    (of("kind=\"login\"") + of("kind=\"read\"") + of("kind=\"issue\"")).abs()
}
