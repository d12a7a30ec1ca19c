//! How leases end: with their pod, however it goes, and over whatever happens to the agent.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use coffer_tests::kubernetes::{LeaseNode, LeaseSite, Suite, Tenant, user};
use coffer_tests::{Pod, Relay, Terms, until};
use futures_util::{StreamExt, stream};
use tokio::task::JoinHandle;

const SHORT: Terms<'static> = Terms { ttl: "6s", max_ttl: "1h" };
const LONG: Terms<'static> = Terms { ttl: "1h", max_ttl: "24h" };

fn main() -> ExitCode {
    Suite::new(LeaseSite::start)
        .test("killed_while_it_issues_it_says_what_may_be_lost", killed_while_it_issues)
        .test("killed_while_it_renews_it_renews_again", killed_while_it_renews)
        .test("a_pod_deleted_during_its_first_mount_leaves_nothing", deleted_during_its_first_mount)
        .test("a_pod_that_has_finished_is_gone", finished)
        .test("a_new_pod_of_an_old_name_is_someone_else", a_new_pod_of_an_old_name)
        .test("sixty_pods_end_at_once", sixty_pods)
        .test("an_agent_that_revokes_on_shutdown_leaves_nothing", revoke_on_shutdown)
        .test("of_two_agents_the_second_waits_for_the_first", two_agents)
        .test("a_damaged_record_costs_a_login", a_damaged_record)
        .test("a_state_directory_on_disk_is_refused", on_disk)
        .mounting("a_full_state_directory_stops_no_mount", full)
        .test("kube_apiserver_may_be_away", |_| kube_apiserver_away())
        .run()
}

/// A mount whose user is made, while the answer that tells of it is held back.
async fn held_mount(
    site: &LeaseSite,
    tenant: &Tenant,
    node: &LeaseNode,
    relay: &Relay,
    pod: &Pod,
) -> JoinHandle<bool> {
    relay.hold("database/creds");
    let (mut client, request) = (node.csi.client(), tenant.call(pod).request());
    let mount = tokio::spawn(async move { client.mount(request).await.is_ok() });
    until("the user to be made", async || {
        (!site.postgres.users(tenant.namespace.name()).is_empty()).then_some(())
    })
    .await;
    mount
}

async fn killed_while_it_issues(site: Arc<LeaseSite>) {
    let tenant = site.tenant("killed", LONG, "1h").await;
    let relay = Relay::start(site.bao.address()).await;
    let mut node = site.node_by("killed", relay.address()).await;
    let pod = tenant.pod(&node).await;
    let mount = held_mount(&site, &tenant, &node, &relay, &pod).await;
    node.csi.kill();
    node.csi.wait().await;
    assert!(!mount.await.unwrap());
    relay.pass();

    node.csi = node.options().start().await;
    let path = format!("database/creds/{}", tenant.namespace.name());
    let log = node.csi.log();
    let told = log.lines().find(|line| line.contains("the process ended while it asked for this path"));
    assert!(told.is_some_and(|line| line.contains(&path) && line.contains(&pod.name)), "{log}");
    node.mount(&tenant.call(&pod)).await;
    assert_eq!(site.postgres.users(tenant.namespace.name()).len(), 2, "the lost one and the one in use");

    tenant.namespace.delete_pod(&pod).await;
    site.nobody_left(&tenant).await;
}

async fn killed_while_it_renews(site: Arc<LeaseSite>) {
    let tenant = site.tenant("renews", Terms { ttl: "20s", max_ttl: "1h" }, "1h").await;
    let relay = Relay::start(site.bao.address()).await;
    let mut node = site.node_by("renews", relay.address()).await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    relay.hold("leases/renew");
    until("the renewal to be under way", async || {
        let status = node.status().await;
        status.lines().any(|line| line.contains("lease") && line.contains(" 0s ")).then_some(())
    })
    .await;
    node.csi.kill();
    node.csi.wait().await;
    relay.pass();
    node.csi = node.options().start().await;
    until("it to be renewed", async || {
        let renewed = ["kind=\"renew\"", "status=\"200\""];
        (node.csi.metrics().await.sum("coffer_vault_requests_total", &renewed) >= 1.0).then_some(())
    })
    .await;
    assert_eq!(user(&node.mount(&tenant.call(&pod)).await), user(&first));
    assert_eq!(site.issued(&tenant.namespace), 1);
    tenant.namespace.delete_pod(&pod).await;
    site.nobody_left(&tenant).await;
}

async fn deleted_during_its_first_mount(site: Arc<LeaseSite>) {
    let tenant = site.tenant("deleted", LONG, "1h").await;
    let relay = Relay::start(site.bao.address()).await;
    let node = site.node_by("deleted", relay.address()).await;
    let pod = tenant.pod(&node).await;
    let mount = held_mount(&site, &tenant, &node, &relay, &pod).await;
    tenant.namespace.delete_pod(&pod).await;
    relay.pass();
    assert!(mount.await.unwrap());
    site.nobody_left(&tenant).await;
}

async fn finished(site: Arc<LeaseSite>) {
    let tenant = site.tenant("finished", LONG, "1h").await;
    let node = site.node("finished").await;
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
    site.cluster.kubectl().run(patch).await;
    site.nobody_left(&tenant).await;
}

async fn a_new_pod_of_an_old_name(site: Arc<LeaseSite>) {
    let tenant = site.tenant("renamed", LONG, "1h").await;
    let node = site.node("renamed").await;
    let old = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&old)).await;
    tenant.namespace.delete_pod(&old).await;
    let new = tenant.namespace.make_pod(old.clone(), node.name(), "db").await;
    assert_ne!(new.uid, old.uid);
    let second = node.mount(&tenant.call(&new)).await;
    assert_ne!(user(&second), user(&first));
    until("the old pod's user to be gone", async || {
        (site.postgres.users(tenant.namespace.name()) == [user(&second)]).then_some(())
    })
    .await;
    tenant.namespace.delete_pod(&new).await;
    site.nobody_left(&tenant).await;
}

async fn sixty_pods(site: Arc<LeaseSite>) {
    let tenant = site.tenant("sixty", LONG, "1h").await;
    let node = site.node("sixty").await;
    let pods: Vec<Pod> = stream::iter(0..60).map(|_| tenant.pod(&node)).buffer_unordered(10).collect().await;
    stream::iter(&pods)
        .for_each_concurrent(10, async |pod| {
            node.mount(&tenant.call(pod)).await;
        })
        .await;
    assert_eq!(site.postgres.users(tenant.namespace.name()).len(), 60);
    stream::iter(&pods).for_each_concurrent(10, |pod| tenant.namespace.delete_pod(pod)).await;
    site.nobody_left(&tenant).await;
    let revoked = node.csi.metrics().await.sum("coffer_revocations_total", &["outcome=\"revoked\""]);
    assert!((revoked - 60.0).abs() < 0.5, "{revoked}");
    until("the store to be empty", async || {
        let records = fs::read_dir(node.state()).unwrap().flatten();
        let records = records.filter(|entry| !entry.file_name().to_string_lossy().contains('.'));
        (records.count() == 0).then_some(())
    })
    .await;
}

async fn revoke_on_shutdown(site: Arc<LeaseSite>) {
    let tenant = site.tenant("uninstall", LONG, "1h").await;
    let mut node = site.node("uninstall").await;
    node.csi.terminate();
    node.csi.wait().await;
    node.csi = node.options().flag("-revoke-on-shutdown").start().await;
    for _ in 0..3 {
        let pod = tenant.pod(&node).await;
        node.mount(&tenant.call(&pod)).await;
    }
    // one that is in its grace, and stays so for longer than the agent lives
    let gone = tenant.pod(&node).await;
    node.mount(&tenant.call(&gone)).await;
    tenant.namespace.delete_pod(&gone).await;
    until("the agent to know", async || (!node.status().await.contains(&gone.name)).then_some(())).await;
    node.csi.terminate();
    assert!(node.csi.wait().await.success());
    site.nobody_left(&tenant).await;
}

async fn two_agents(site: Arc<LeaseSite>) {
    let tenant = site.tenant("update", LONG, "1h").await;
    let mut node = site.node("update").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod);
    let first = node.mount(&call).await;
    let second = node.options().spawn();
    assert_eq!(user(&node.mount(&call).await), user(&first), "the first one serves on");
    node.csi.terminate();
    node.csi.wait().await;
    node.csi = second;
    until("the second agent to serve", async || node.csi.version().await.ok()).await;
    assert_eq!(user(&node.mount(&call).await), user(&first));
    assert_eq!(site.issued(&tenant.namespace), 1);
    tenant.namespace.delete_pod(&pod).await;
    site.nobody_left(&tenant).await;
}

async fn a_damaged_record(site: Arc<LeaseSite>) {
    // what nobody knows of any more ends by itself
    let tenant = site.tenant("damaged", SHORT, "1h").await;
    let mut node = site.node("damaged").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    node.csi.terminate();
    node.csi.wait().await;
    let records = || fs::read_dir(node.state()).unwrap().flatten().map(|entry| entry.path());
    let record =
        records().find(|path| path.extension().is_none() && path.file_name().unwrap() != ".lock").unwrap();
    let mut bytes = fs::read(&record).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&record, bytes).unwrap();

    node.csi = node.options().start().await;
    assert!(record.with_extension("damaged").exists());
    let log = node.csi.log();
    assert!(log.contains("its checksum is another one") && !log.contains(first.text("password")), "{log}");
    let second = node.mount(&tenant.call(&pod)).await;
    assert_ne!(user(&second), user(&first));
    tenant.namespace.delete_pod(&pod).await;
    site.nobody_left(&tenant).await;
}

async fn on_disk(site: Arc<LeaseSite>) {
    let mut node = site.node("disk").await;
    node.csi.terminate();
    node.csi.wait().await;
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut refused = node.options().flag(format!("-state-dir={}", disk.path().display())).spawn();
    assert!(!refused.wait().await.success());
    assert!(refused.log().contains("is not on tmpfs: tokens must not reach a disk"), "{}", refused.log());
}

/// A file system of 64 KiB.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"]).arg(dir.path());
        assert!(mount.status().unwrap().success());
        Self(dir)
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.filler()).unwrap();
        while file.write_all(&[0; 1024]).is_ok() {}
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler.tmp")
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

async fn full(site: Arc<LeaseSite>) {
    let tenant = site.tenant("full", LONG, "1h").await;
    let mut node = site.node("full").await;
    node.csi.terminate();
    node.csi.wait().await;
    let small = Small::mount();
    node.csi = node.options().flag(format!("-state-dir={}", small.0.path().display())).start().await;
    small.fill();
    let (one, two) = (tenant.pod(&node).await, tenant.pod(&node).await);
    let first = node.mount(&tenant.call(&one)).await;
    assert!(node.csi.log().contains("leases and tokens are not stored"), "{}", node.csi.log());
    assert_eq!(user(&node.mount(&tenant.call(&one)).await), user(&first), "held in memory all the same");

    fs::remove_file(small.filler()).unwrap();
    node.mount(&tenant.call(&two)).await;
    until("it to be stored", async || node.csi.log().contains("are stored again").then_some(())).await;
    for pod in [&one, &two] {
        tenant.namespace.delete_pod(pod).await;
    }
    site.nobody_left(&tenant).await;
}

/// On a cluster of its own, which others would miss.
async fn kube_apiserver_away() {
    let site = LeaseSite::start().await;
    let tenant = site.tenant("away", SHORT, "1h").await;
    let mut node = site.node("away").await;
    let (stays, goes) = (tenant.pod(&node).await, tenant.pod(&node).await);
    let first = node.mount(&tenant.call(&stays)).await;
    node.mount(&tenant.call(&goes)).await;
    site.cluster.api_server().kill();
    let renewals = async || node.csi.metrics().await.sum("coffer_vault_requests_total", &["kind=\"renew\""]);
    until("renewals past the first end", async || (renewals().await >= 5.0).then_some(())).await;
    assert_eq!(user(&node.mount(&tenant.call(&stays)).await), user(&first));
    assert_eq!(site.postgres.users(tenant.namespace.name()).len(), 2, "silence is no evidence");
    // not even to an agent that knows the pods from its store alone; the key of the versions is a file here
    node.kill_and_start().await;
    assert_eq!(user(&node.mount(&tenant.call(&stays)).await), user(&first));

    site.cluster.api_server().start_again().await;
    tenant.namespace.delete_pod(&goes).await;
    until("the deleted pod's user to be gone", async || {
        (site.postgres.users(tenant.namespace.name()) == [user(&first)]).then_some(())
    })
    .await;
    tenant.namespace.delete_pod(&stays).await;
    site.nobody_left(&tenant).await;
}
