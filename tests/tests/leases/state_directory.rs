//! Faults of the state directory: missing, unsuitable, full or damaged.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

use coffer_tests::kubernetes::{LeaseSetup, user};
use coffer_tests::{BoundDirectory, SmallFileSystem, Suite, until_true};

use crate::{LONG, SHORT};

pub(crate) fn tests(suite: Suite<LeaseSetup>) -> Suite<LeaseSetup> {
    suite
        .test("a_damaged_newer_or_foreign_record_costs_a_login", damaged_records)
        .test("without_state_directory_or_node_name_there_is_one_warning", nothing_given)
        .test("a_state_directory_on_disk_is_refused", on_disk)
        .test("what_is_deleted_under_a_running_agent_is_made_anew", deleted)
        .test("an_agent_that_lost_its_directory_to_another_is_not_alive", taken)
        .mounting("a_directory_deleted_on_the_node_is_reported", deleted_on_the_node)
        .mounting("a_disk_in_place_of_the_directory_gets_nothing", replaced_by_disk)
        .mounting("a_read_only_state_directory_is_refused", read_only)
        .mounting("a_full_state_directory_does_not_stop_mounts", full)
}

async fn damaged_records(setup: Arc<LeaseSetup>) {
    // a lease of a lost record ends with its TTL
    let tenant = setup.tenant("damaged", SHORT, "1h").await;
    let mut node = setup.node("damaged").await;
    let pod = tenant.pod(&node).await;
    let mut last = node.mount(&tenant.call(&pod)).await;
    let newer = |bytes: &[u8]| [b"coffer-state 2", &bytes["coffer-state 1".len()..]].concat();
    for damage in [
        "its checksum is another one",
        "it was written by another version of coffer-csi",
        "it was not written by coffer-csi",
    ] {
        node.stop().await;
        let record = node.records().remove(0);
        let whole = fs::read(&record).unwrap();
        let damaged = match damage {
            "its checksum is another one" => [&whole[..], b" "].concat(),
            "it was written by another version of coffer-csi" => newer(&whole),
            _ => b"{}\n".to_vec(),
        };
        fs::write(&record, damaged).unwrap();

        node.csi = node.options().start().await;
        assert!(record.with_extension("damaged").exists());
        let log = node.csi.log();
        assert!(log.contains(damage) && !log.contains(last.text("password")), "{damage}: {log}");
        let next = node.mount(&tenant.call(&pod)).await;
        assert_ne!(user(&next), user(&last));
        last = next;
    }
    setup.end(&tenant, &node, &[&pod]).await;
}

/// As after an upgrade that only replaced the image.
async fn nothing_given(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("swapped", SHORT, "1h").await;
    let mut node = setup.node("swapped").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod);
    let incomplete = [
        node.options().flag("-state-dir="),
        node.options().env("NODE_NAME", ""),
        node.options().flag("-state-dir=").env("NODE_NAME", ""),
    ];
    for options in incomplete {
        node.restart_with(options).await;
        let first = node.mount(&call).await;
        assert_ne!(user(&node.mount(&call).await), user(&first), "every mount issues a user");
        let log = node.csi.log();
        let warnings: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
        let says = |words: &str| warnings.iter().any(|line| line.contains(words));
        assert!(
            warnings.len() == 1 && says("-state-dir") && says("NODE_NAME") && says("\"list\" and \"watch\""),
            "{log}"
        );
    }
    tenant.namespace.delete_pod(&pod).await;
    // nobody revokes these leases: their TTL ends
    setup.nobody_left(&tenant).await;
}

async fn on_disk(setup: Arc<LeaseSetup>) {
    let mut node = setup.node("disk").await;
    node.stop().await;
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut refused = node.options().flag(format!("-state-dir={}", disk.path().display())).spawn();
    assert!(!refused.wait().await.success());
    assert!(refused.log().contains("is not on tmpfs: tokens must not reach a disk"), "{}", refused.log());
}

async fn read_only(setup: Arc<LeaseSetup>) {
    let mut node = setup.node("readonly").await;
    node.stop().await;
    let small = SmallFileSystem::mount(64);
    let options = node.options().flag(format!("-state-dir={}", small.path().display()));
    small.remount("ro");
    let mut refused = options.clone().spawn();
    assert!(!refused.wait().await.success());
    assert!(refused.log().contains("is mounted read-only: mount it writable"), "{}", refused.log());

    small.remount("rw");
    node.csi = options.start().await;
    let tenant = setup.tenant("readonly", LONG, "1h").await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    assert_eq!(user(&node.mount(&tenant.call(&pod)).await), user(&first));
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn full(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("full", LONG, "1h").await;
    let mut node = setup.node("full").await;
    node.stop().await;
    let small = SmallFileSystem::mount(64);
    node.csi = node.options().flag(format!("-state-dir={}", small.path().display())).start().await;
    small.fill();
    let (one, two) = (tenant.pod(&node).await, tenant.pod(&node).await);
    let first = node.mount(&tenant.call(&one)).await;
    assert!(node.csi.log().contains("leases and tokens are not stored"), "{}", node.csi.log());
    assert_eq!(user(&node.mount(&tenant.call(&one)).await), user(&first), "the lease is reused from memory");

    small.free();
    node.mount(&tenant.call(&two)).await;
    until_true("the leases to be stored again", async || node.csi.log().contains("are stored again")).await;
    setup.end(&tenant, &node, &[&one, &two]).await;
}

/// As after `rm -rf /run/coffer`, or a cleaner of temporary files.
async fn deleted(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("deleted", LONG, "1h").await;
    let mut node = setup.node("deleted").await;
    let (one, two) = (tenant.pod(&node).await, tenant.pod(&node).await);
    let users = [user(&node.mount(&tenant.call(&one)).await), user(&node.mount(&tenant.call(&two)).await)];
    let state = node.state();
    let of_state = |name: &str| state.join(name);
    let records = node.records();
    assert_eq!(records.len(), 2);
    let deletions: [&dyn Fn(); 6] = [
        &|| fs::remove_dir_all(&state).unwrap(),
        &|| fs::rename(&state, state.with_extension("elsewhere")).unwrap(),
        &|| node.records().iter().for_each(|record| fs::remove_file(record).unwrap()),
        &|| fs::remove_file(of_state("status.sock")).unwrap(),
        &|| fs::remove_file(of_state(".lock")).unwrap(),
        &|| fs::set_permissions(&state, PermissionsExt::from_mode(0o777)).unwrap(),
    ];
    for (n, delete) in deletions.iter().enumerate() {
        delete();
        until_true(&format!("deletion {n} to be mended"), async || {
            let is_private =
                fs::metadata(&state).is_ok_and(|file| file.permissions().mode() & 0o777 == 0o700);
            let all = [".lock", "status.sock"].into_iter().all(|name| of_state(name).exists());
            is_private && all && records.iter().all(|record| record.exists())
        })
        .await;
        assert!(node.status().await.contains("database/creds/"), "deletion {n}");
    }
    assert_eq!(node.revoked().await, 0);
    assert_eq!(node.csi.get("/health/ready").await.unwrap().0, 200);

    node.kill_and_start().await;
    for (pod, before) in [&one, &two].into_iter().zip(users) {
        assert_eq!(user(&node.mount(&tenant.call(pod)).await), before, "nothing was lost");
    }
    setup.end(&tenant, &node, &[&one, &two]).await;
}

async fn taken(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("taken", LONG, "1h").await;
    let mut node = setup.node("taken").await;
    node.restart_with(node.options().flag("-revoke-on-shutdown")).await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    fs::remove_file(node.state().join(".lock")).unwrap();
    let lock = fs::File::create(node.state().join(".lock")).unwrap();
    let lock = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusiveNonblock).unwrap();
    until_true("the agent to be not alive", async || {
        node.csi
            .get("/health/live")
            .await
            .is_some_and(|(status, text)| status == 503 && text.contains("holds it"))
    })
    .await;
    assert_eq!(user(&node.mount(&tenant.call(&pod)).await), user(&first), "the lease is reused from memory");

    node.restart().await;
    assert_eq!(node.csi.get("/health/live").await.unwrap().0, 200);
    drop(lock);
    // it ends, to be started again with the directory
    node.csi.wait().await;
    node.csi = node.options().start().await;
    assert_eq!(user(&node.mount(&tenant.call(&pod)).await), user(&first), "its record was kept");
    setup.end(&tenant, &node, &[&pod]).await;
}

/// In a container a deleted directory stays mounted, and nothing can be made in it.
async fn deleted_on_the_node(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("gone", LONG, "1h").await;
    let mut node = setup.node("gone").await;
    node.stop().await;
    let mounted = BoundDirectory::mount();
    let options = node.options().flag(format!("-state-dir={}", mounted.inside().display()));
    node.csi = options.start().await;
    let pod = tenant.pod(&node).await;
    let first = node.mount(&tenant.call(&pod)).await;
    fs::remove_dir_all(mounted.on_node()).unwrap();
    until_true("the agent to be not ready", async || {
        let ready = node.csi.get("/health/ready").await;
        ready.is_some_and(|(status, text)| status == 503 && text.contains("was deleted on the node"))
    })
    .await;
    assert_eq!(node.csi.get("/health/live").await.unwrap().0, 200, "a restart would lose the leases");
    assert_eq!(user(&node.mount(&tenant.call(&pod)).await), user(&first), "the lease is reused from memory");
    assert!(node.csi.log().contains("leases and tokens are not stored"), "{}", node.csi.log());

    mounted.mount_again();
    until_true("the agent to be ready", async || node.csi.ready().await).await;
    until_true("the lease to be stored", async || fs::read_dir(mounted.inside()).unwrap().count() == 3).await;
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn replaced_by_disk(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("replaced", SHORT, "1h").await;
    let node = setup.node("replaced").await;
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::set_permissions(disk.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let pod = tenant.pod(&node).await;
    node.mount(&tenant.call(&pod)).await;
    let mut mount = Command::new("mount");
    assert!(mount.arg("--bind").arg(disk.path()).arg(node.state()).status().unwrap().success());
    node.renewed_again().await;
    until_true("the agent to be not ready", async || {
        let ready = node.csi.get("/health/ready").await;
        ready.is_some_and(|(status, text)| status == 503 && text.contains("is not on tmpfs"))
    })
    .await;
    let files = fs::read_dir(disk.path()).unwrap().count();
    assert!(Command::new("umount").arg("--lazy").arg(node.state()).status().unwrap().success());
    assert_eq!(files, 0, "no file is written to a disk");
    until_true("the agent to be ready", async || node.csi.ready().await).await;
    setup.end(&tenant, &node, &[&pod]).await;
}
