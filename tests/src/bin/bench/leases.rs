//! coffer-csi and leases: 250 pods with two leased objects each, republished again and again.

use std::time::{Duration, Instant};

use coffer_proto::v1alpha1::MountRequest;
use coffer_tests::kubernetes::{LeaseNode, LeaseSetup, Tenant};
use coffer_tests::{LeaseTtls, Postgres, ScrapedMetrics, TestPod, until_true};
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::time::sleep_until;

use crate::progress;
use crate::rounds::RunSize;
use crate::series::{mib, milliseconds};

const PODS: usize = 250;
const AT_ONCE: usize = 10;

/// A lease of an hour is renewed every forty minutes, one of these every forty seconds.
const TERMS: LeaseTtls<'static> = LeaseTtls { ttl: "60s", max_ttl: "24h" };

/// The time between two republishes of a pod.
const REPUBLISH: Duration = Duration::from_secs(5);

/// What is printed.
struct LeaseFigures {
    republishes: u32,
    issued: usize,
    requests: RequestCounts,
    /// CPU time of a republish, in milliseconds.
    cpu: f64,
    resident_kib: u64,
    ready: Duration,
    logins_and_reads_after_restart: f64,
    requests_after_restart: f64,
    one_pod_revoked: Duration,
    others_revoked: Duration,
}

/// Requests that reached OpenBao while pods were republished, by its audit log.
struct RequestCounts {
    all: usize,
    renewals: usize,
}

/// Measures, and prints the table.
pub(crate) async fn measure(size: RunSize) {
    progress("etcd, kube-apiserver, OpenBao, PostgreSQL and coffer-csi start");
    let setup = LeaseSetup::start().await;
    let tenant = tenant(&setup).await;
    let mut node = setup.node("bench").await;
    progress("250 pods mount for the first time");
    let pods: Vec<TestPod> =
        stream::iter(0..PODS).map(|_| tenant.pod(&node)).buffer_unordered(AT_ONCE).collect().await;
    mount_all(&node, &tenant, &pods).await;
    progress(&format!("they are republished for {} s", (REPUBLISH * size.republishes).as_secs()));
    let requests = republish(&setup, &node, &tenant, &pods, size.republishes).await;
    let issued = issued(&setup, &tenant);
    let resident_kib = node.csi.process().resident_kib();
    progress("ten thousand more, for the CPU time");
    let cpu = cpu_of_a_republish(&node, &tenant, &pods).await;
    progress("a restart, and the ends of pods");
    let ready = restart(&mut node).await;
    let restarted = node.csi.metrics().await;
    mount_all(&node, &tenant, &pods).await;
    let republished = node.csi.metrics().await;
    let figures = LeaseFigures {
        republishes: size.republishes,
        issued,
        requests,
        cpu,
        resident_kib,
        ready,
        logins_and_reads_after_restart: logins_and_reads(&republished),
        requests_after_restart: vault_requests(&republished) - vault_requests(&restarted),
        one_pod_revoked: delete(&setup, &tenant, &pods[..1]).await,
        others_revoked: delete(&setup, &tenant, &pods[1..]).await,
    };
    figures.print();
}

impl LeaseFigures {
    fn print(&self) {
        let RequestCounts { all, renewals } = self.requests;
        println!("\n| what | |\n|---|---:|");
        let issued =
            format!("users issued for {PODS} pods x 2 objects, after {} republishes", self.republishes);
        row(&issued, &self.issued.to_string());
        let share = all as f64 / renewals as f64;
        row("Vault requests meanwhile, to the renewals among them", &format!("{share:.3} x"));
        row("renewals meanwhile, each lease after 36 to 40 of its 60 s", &renewals.to_string());
        row("CPU of a republish, nothing asked of Vault", &format!("{:.3} ms", self.cpu));
        row("resident memory, 500 leases held", &mib(self.resident_kib));
        row("restart: ready after", &format!("{:.0} ms", milliseconds(self.ready)));
        let after_restart = format!("{:.0}", self.logins_and_reads_after_restart);
        row("restart: logins and issues, all republished", &after_restart);
        row("Vault requests between restart and that", &format!("{:.0}", self.requests_after_restart));
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        row("one pod deleted: its users gone after", &seconds(self.one_pod_revoked));
        row("249 pods deleted at once: all users gone after", &seconds(self.others_revoked));
    }
}

fn row(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}

/// Makes an account whose pods mount two users, each of its own database role.
async fn tenant(setup: &LeaseSetup) -> Tenant {
    let mut tenant = setup.tenant("one", TERMS, "24h").await;
    let one = tenant.namespace.name().to_owned();
    Postgres::role(&setup.bao, "two", TERMS).await;
    let allow = |role: &str| format!("path \"database/creds/{role}\" {{ capabilities = [\"read\"] }}\n");
    setup.bao.policy(&one, &(allow(&one) + &allow("two"))).await;
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

/// Republishes all pods so many times, and counts the requests that OpenBao gets meanwhile.
async fn republish(
    setup: &LeaseSetup,
    node: &LeaseNode,
    tenant: &Tenant,
    pods: &[TestPod],
    times: u32,
) -> RequestCounts {
    let before = setup.bao.requests().len();
    let begun = Instant::now();
    for n in 1..=times {
        mount_all(node, tenant, pods).await;
        sleep_until((begun + REPUBLISH * n).into()).await;
    }
    let requests = setup.bao.requests().split_off(before);
    let is_renewal = |path: &str| matches!(path, "sys/leases/renew" | "auth/token/renew-self");
    let renewals = requests.iter().filter(|request| is_renewal(&request.path)).count();
    RequestCounts { all: requests.len(), renewals }
}

/// Returns the CPU time of one republish in milliseconds, the mean of ten thousand. The few
/// renewals that fall into that time are counted too.
async fn cpu_of_a_republish(node: &LeaseNode, tenant: &Tenant, pods: &[TestPod]) -> f64 {
    const TIMES: usize = 40;
    let before = node.csi.process().cpu_time();
    for _ in 0..TIMES {
        mount_all(node, tenant, pods).await;
    }
    milliseconds(node.csi.process().cpu_time() - before) / (TIMES * pods.len()) as f64
}

/// Restarts the agent, and returns how long its start takes.
async fn restart(node: &mut LeaseNode) -> Duration {
    node.csi.terminate();
    node.csi.wait().await;
    let begun = Instant::now();
    node.csi = node.options().start().await;
    begun.elapsed()
}

/// Deletes pods, and waits until_true PostgreSQL has none of their users any more.
async fn delete(setup: &LeaseSetup, tenant: &Tenant, pods: &[TestPod]) -> Duration {
    let left = users(setup) - 2 * pods.len();
    let begun = Instant::now();
    stream::iter(pods).for_each_concurrent(AT_ONCE, |pod| tenant.namespace.delete_pod(pod)).await;
    until_true("the users to be gone", async || users(setup) == left).await;
    begun.elapsed()
}

/// Returns how often OpenBao was asked for a user, by its audit log.
fn issued(setup: &LeaseSetup, tenant: &Tenant) -> usize {
    let roles = [tenant.namespace.name(), "two"];
    roles.iter().map(|role| setup.bao.requests_to(&format!("database/creds/{role}"))).sum()
}

fn users(setup: &LeaseSetup) -> usize {
    setup.postgres.users("%").len()
}

fn vault_requests(metrics: &ScrapedMetrics) -> f64 {
    metrics.sum("coffer_vault_requests_total", &[])
}

fn logins_and_reads(metrics: &ScrapedMetrics) -> f64 {
    let of = |kind| metrics.sum("coffer_vault_requests_total", &[kind]);
    // A sum of nothing is -0.
    (of("kind=\"login\"") + of("kind=\"read\"") + of("kind=\"issue\"")).abs()
}
