//! The socket's file and directory, changed by others while the agent runs.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use coffer_tests::kubernetes::mounts_forbidden;
use coffer_tests::{BoundDirectory, Csi, FakeVaultSetup, READ_APP, ScriptedAnswer, TestPod, until_true};
use tokio::net::UnixStream;

async fn is_live(csi: &Csi) -> bool {
    csi.get("/health/live").await.is_some_and(|(status, _)| status == 200)
}

/// Waits until a new connection to the path is served by this agent, whose socket has another inode
/// than `before`.
async fn served_anew(csi: &Csi, before: u64, what: &str) {
    until_true(&format!("a new socket after: {what}"), async || {
        let is_new = fs::symlink_metadata(csi.socket()).is_ok_and(|file| file.ino() != before);
        is_new && UnixStream::connect(csi.socket()).await.is_ok()
    })
    .await;
    let metadata = fs::symlink_metadata(csi.socket()).unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o600, "{what}");
    assert!(csi.ready().await && is_live(csi).await, "{what}: {}", csi.log());
    assert!(csi.log().contains("made anew"), "{what}: {}", csi.log());
}

/// As after a driver that was installed anew, or a cleaner of temporary files.
#[tokio::test]
async fn a_socket_that_vanishes_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("parent/providers");
    fs::create_dir_all(&home).unwrap();
    let socket = home.join("vault.sock");
    let csi = Csi::options().socket(&socket).start().await;
    let changes: [(&str, &dyn Fn()); 7] = [
        ("the file is deleted", &|| fs::remove_file(&socket).unwrap()),
        ("the file is renamed", &|| fs::rename(&socket, home.join("old.sock")).unwrap()),
        ("a stale socket is in its place", &|| {
            fs::remove_file(&socket).unwrap();
            drop(UnixListener::bind(&socket).unwrap());
        }),
        ("others may connect", &|| fs::set_permissions(&socket, PermissionsExt::from_mode(0o666)).unwrap()),
        ("the directory is deleted", &|| fs::remove_dir_all(&home).unwrap()),
        ("the directory is made anew", &|| {
            fs::rename(&home, dir.path().join("old")).unwrap();
            fs::create_dir(&home).unwrap();
        }),
        ("its parent is deleted", &|| fs::remove_dir_all(home.parent().unwrap()).unwrap()),
    ];
    for (what, change) in changes {
        let before = fs::symlink_metadata(&socket).unwrap().ino();
        // so that the new file gets another inode
        let _held = fs::hard_link(&socket, dir.path().join(format!("held-{before}")));
        change();
        served_anew(&csi, before, what).await;
        csi.version().await.expect("the connection from before is served, too");
    }
}

#[tokio::test]
async fn a_mount_in_progress_ends_well_while_the_socket_is_made_anew() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret().held()]);
    let call = setup.call(&TestPod::new("shop", "web"), READ_APP);
    let (mounted, ()) = tokio::join!(setup.csi.mount(&call), async {
        until_true("the mount to wait for Vault", async || {
            setup.vault.requests_to("GET", "/v1/kv/app").len() == 1
        })
        .await;
        let before = fs::symlink_metadata(setup.csi.socket()).unwrap().ino();
        fs::remove_file(setup.csi.socket()).unwrap();
        served_anew(&setup.csi, before, "a file deleted during a mount").await;
        setup.vault.release();
    });
    mounted.expect("the mount succeeds");
}

/// What is no socket is not deleted, as at the start. Liveness makes kubelet start the agent again.
#[tokio::test]
async fn what_is_in_the_socket_s_place_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("vault.sock");
    let csi = Csi::options().socket(&socket).start().await;
    type Replacement<'a> = (&'a str, &'a dyn Fn(&Path));
    let replacements: [Replacement<'_>; 4] = [
        ("a file", &|path| fs::write(path, "kept").unwrap()),
        ("a directory", &|path| fs::create_dir(path).unwrap()),
        ("a symbolic link", &|path| symlink(path.with_extension("target"), path).unwrap()),
        ("a link to itself", &|path| symlink(path, path).unwrap()),
    ];
    for (what, replace) in replacements {
        fs::remove_file(&socket).unwrap();
        replace(&socket);
        until_true(&format!("{what} to be reported"), async || {
            let (status, text) = csi.get("/health/live").await.unwrap();
            status == 503 && text.contains("is not a socket")
        })
        .await;
        assert!(!csi.ready().await, "{what}");
        let kind = fs::symlink_metadata(&socket).unwrap().file_type();
        assert!(kind.is_file() || kind.is_dir() || kind.is_symlink(), "{what} is kept");

        if kind.is_dir() {
            fs::remove_dir(&socket).unwrap();
        } else {
            fs::remove_file(&socket).unwrap();
        }
        until_true("the socket to be made anew", async || is_live(&csi).await && csi.ready().await).await;
        UnixStream::connect(&socket).await.expect("the agent listens again");
    }
    let log = csi.log();
    assert_eq!(log.matches("the driver does not find this agent").count(), 4, "each is logged once: {log}");
}

/// Of two agents on a node the later one serves. The earlier one neither takes the socket back nor
/// asks for a restart, which would do just that; and it serves again when it is alone.
#[tokio::test]
async fn a_socket_is_not_taken_from_another_who_serves() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("vault.sock");
    let first = Csi::options().socket(&socket).start().await;
    let before = fs::symlink_metadata(&socket).unwrap().ino();
    let mut second = Csi::options().socket(&socket).spawn();
    until_true("the first one to notice", async || !first.ready().await).await;
    let inode = fs::symlink_metadata(&socket).unwrap().ino();
    assert_ne!(inode, before);
    let (status, text) = first.get("/health/ready").await.unwrap();
    assert!(status == 503 && text.contains("another process serves"), "{text}");
    assert!(is_live(&first).await);
    assert!(second.ready().await);

    second.kill();
    second.wait().await;
    assert!(socket.exists(), "a killed process leaves its socket");
    served_anew(&first, inode, "the second one was killed").await;
}

/// In a container a deleted directory stays mounted, and nothing can be made in it.
#[tokio::test]
async fn a_directory_deleted_on_the_node_is_reported() {
    if mounts_forbidden().is_some() {
        return;
    }
    let mounted = BoundDirectory::mount();
    let csi = Csi::options().socket(&mounted.inside().join("vault.sock")).start().await;
    fs::remove_dir_all(mounted.on_node()).unwrap();
    until_true("the agent to be not alive", async || {
        let (status, text) = csi.get("/health/live").await.unwrap();
        status == 503 && text.contains("was deleted on the node")
    })
    .await;
    mounted.mount_again();
    until_true("the agent to be alive", async || is_live(&csi).await).await;
    UnixStream::connect(csi.socket()).await.expect("the agent listens again");
}
