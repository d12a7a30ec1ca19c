//! The socket: replaced when stale, protected by its mode, and never taken from another provider.

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use coffer_tests::{Csi, TestPod, TokenIssuer, call_as_web, coffer_binary, until_true};

#[tokio::test]
async fn the_socket_exists_without_vault_and_only_for_its_owner() {
    let csi = Csi::options().flag("-vault-addr=http://127.0.0.1:9").start().await;
    let metadata = std::fs::metadata(csi.socket()).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.mode() & 0o777, 0o600);
    assert!(csi.ready().await);
}

#[tokio::test]
async fn the_version_is_the_driver_s() {
    let csi = Csi::options().start().await;
    let version = csi.version().await.unwrap();
    assert_eq!(version.version, "v1alpha1");
    assert!(!version.runtime_name.is_empty() && !version.runtime_version.is_empty(), "{version:?}");
}

#[tokio::test]
async fn a_stale_file_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("vault.sock");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists(), "a socket file without a listener");
    let csi = Csi::options().socket(&socket).start().await;
    csi.version().await.unwrap();
}

#[tokio::test]
async fn a_killed_provider_s_file_is_replaced_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("vault.sock");
    drop(Csi::options().socket(&socket).start().await);
    assert!(socket.exists(), "a killed process leaves its socket");
    Csi::options().socket(&socket).start().await.version().await.unwrap();
}

/// During a rollout two providers overlap: the newer one takes the path, and the older one must not
/// remove it at its end.
#[tokio::test]
async fn of_two_providers_the_later_serves_and_its_socket_stays() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("vault.sock");
    let mut first = Csi::options().socket(&socket).start().await;
    let inode = inode_of(&socket);
    let mut second = Csi::options().socket(&socket).spawn();
    until_true("the second provider to replace the socket", async || {
        assert!(second.is_running(), "the second provider ended: {}", second.log());
        inode_of(&socket) != inode
    })
    .await;
    first.version().await.expect("the first provider still serves its connection");
    second.version().await.expect("the second provider serves new connections");

    first.terminate();
    first.wait().await;
    assert!(socket.exists(), "the first provider removed its successor's socket");
    second.version().await.expect("the second provider still serves");
    second.terminate();
    second.wait().await;
    assert!(!socket.exists(), "the last provider removes the socket");
}

fn inode_of(path: &Path) -> u64 {
    std::fs::metadata(path).expect("there is always a socket").ino()
}

#[tokio::test]
async fn a_directory_that_does_not_exist_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("no/such/dir/vault.sock");
    let mut csi = Csi::options().socket(&socket).spawn();
    assert!(!csi.wait().await.success());
    assert!(csi.log().contains("no/such/dir"), "{}", csi.log());
}

/// The mode already keeps other users out; this check remains if someone changed the mode.
#[tokio::test]
async fn another_user_is_refused_even_where_the_file_lets_them_in() {
    if !nix::unistd::geteuid().is_root() {
        return; // Only root can be another user.
    }
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    open(dir.path(), 0o755);
    let coffer = dir.path().join("coffer");
    std::fs::copy(coffer_binary("coffer"), &coffer).unwrap();
    let class = dir.path().join("class.yaml");
    let text = "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\nmetadata: {name: c}\n\
                spec: {provider: vault, parameters: {roleName: web, objects: '[{objectName: f, secretPath: kv/a}]'}}\n";
    std::fs::write(&class, text).unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, TokenIssuer::new().token(&TestPod::new("shop", "web"))).unwrap();

    let csi = Csi::options().flag("-vault-addr=http://127.0.0.1:9").socket(&dir.path().join("vault.sock"));
    let csi = csi.start().await;
    open(csi.socket(), 0o666);
    let mount = |uid| {
        let mut command = Command::new(&coffer);
        command.env_clear().uid(uid).args(["mount", "--namespace=shop", "--service-account=web"]);
        command.arg("--class").arg(&class).arg("--token-file").arg(&token);
        command.arg("--socket").arg(csi.socket()).arg("--target").arg(dir.path().join("out"));
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let (root, nobody) = (mount(0), mount(65534));
    assert!(root.contains("127.0.0.1:9"), "root gets as far as Vault, which is down: {root}");
    assert!(!nobody.contains("127.0.0.1:9"), "user nobody got as far as Vault: {nobody}");
    assert!(csi.log().contains("65534"), "who was refused is not logged: {}", csi.log());
    csi.mount(&call_as_web(&TokenIssuer::new(), &TestPod::new("shop", "web"), "x")).await.unwrap_err();
}

#[tokio::test]
async fn core_dumps_are_off() {
    let csi = Csi::options().start().await;
    let limits = csi.process().limits();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(line.split_whitespace().nth(4), Some("0"), "{line}");
}
