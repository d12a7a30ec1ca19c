//! Faults of the state directory: missing, unsuitable, full or damaged.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use coffer_tests::kubernetes::{LeaseSetup, user};
use coffer_tests::{Suite, until_true};

use crate::{LONG, SHORT};

pub(crate) fn tests(suite: Suite<LeaseSetup>) -> Suite<LeaseSetup> {
    suite
        .test("a_damaged_newer_or_foreign_record_costs_a_login", damaged_records)
        .test("without_state_directory_or_node_name_there_is_one_warning", nothing_given)
        .test("a_state_directory_on_disk_is_refused", on_disk)
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
    let small = SmallFileSystem::mount();
    let options = node.options().flag(format!("-state-dir={}", small.0.path().display()));
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

/// A mounted tmpfs of 64 KiB.
struct SmallFileSystem(tempfile::TempDir);

impl SmallFileSystem {
    fn mount() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"]).arg(dir.path());
        assert!(mount.status().unwrap().success());
        Self(dir)
    }

    fn remount(&self, how: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{how}")]).arg(self.0.path());
        assert!(mount.status().unwrap().success());
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.filler()).unwrap();
        while file.write_all(&[0; 1024]).is_ok() {}
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler.tmp")
    }
}

impl Drop for SmallFileSystem {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

async fn full(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("full", LONG, "1h").await;
    let mut node = setup.node("full").await;
    node.stop().await;
    let small = SmallFileSystem::mount();
    node.csi = node.options().flag(format!("-state-dir={}", small.0.path().display())).start().await;
    small.fill();
    let (one, two) = (tenant.pod(&node).await, tenant.pod(&node).await);
    let first = node.mount(&tenant.call(&one)).await;
    assert!(node.csi.log().contains("leases and tokens are not stored"), "{}", node.csi.log());
    assert_eq!(user(&node.mount(&tenant.call(&one)).await), user(&first), "the lease is reused from memory");

    fs::remove_file(small.filler()).unwrap();
    node.mount(&tenant.call(&two)).await;
    until_true("the leases to be stored again", async || node.csi.log().contains("are stored again")).await;
    setup.end(&tenant, &node, &[&one, &two]).await;
}
