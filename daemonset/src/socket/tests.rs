//! The socket's file in every state that a node can be in.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::thread;

use coffer_proto::v1alpha1::MountRequest;
use coffer_proto::v1alpha1::csi_driver_provider_client::CsiDriverProviderClient;
use coffer_proto::v1alpha1::csi_driver_provider_server::CsiDriverProviderServer;
use futures_util::StreamExt;
use nix::sys::stat::{Mode, umask};
use tempfile::{TempDir, tempdir};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tonic::Code;
use tonic::transport::{Endpoint, Server};

use super::{BindError, BoundSocket, DriverListener, MAX_PATH_BYTES, may_connect};
use crate::authority_filter::tests::RefusingProvider;
use crate::node_health::NodeHealth;

fn socket_path() -> (TempDir, PathBuf) {
    let directory = tempdir().expect("a directory");
    let path = directory.path().join("vault.sock");
    (directory, path)
}

fn bind(path: &Path) -> DriverListener {
    DriverListener::bind(path, NodeHealth::default()).expect("a socket")
}

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn only_the_owner_may_connect_whatever_the_umask() {
    let (directory, path) = socket_path();
    let before = umask(Mode::empty());
    let _listener = bind(&path);
    umask(before);
    let metadata = fs::symlink_metadata(&path).expect("the socket");
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    assert_eq!(names(&directory), ["vault.sock"]);
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced() {
    let (directory, path) = socket_path();
    drop(net::UnixListener::bind(&path).expect("a socket"));
    net::UnixStream::connect(&path).expect_err("nobody listens");
    let listener = bind(&path);
    UnixStream::connect(&path).await.expect("somebody listens");
    drop(listener);
    assert!(names(&directory).is_empty());
}

#[tokio::test]
async fn there_is_always_a_socket_while_one_replaces_another() {
    let (_directory, path) = socket_path();
    let mut listener = bind(&path);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            (0..50_000).all(|_| fs::symlink_metadata(&path).is_ok_and(|file| file.file_type().is_socket()))
        });
        while !watcher.is_finished() {
            listener = bind(&path);
        }
        assert!(watcher.join().expect("no panic"));
    });
    drop(listener);
}

#[tokio::test]
async fn what_is_no_socket_stays() {
    let (directory, path) = socket_path();
    fs::write(&path, "kept").expect("a file");
    assert!(matches!(BoundSocket::bind(&path), Err(BindError::Occupied(at)) if at == path));
    assert_eq!(fs::read(&path).expect("the file"), b"kept");
    assert_eq!(names(&directory), ["vault.sock"]);
}

#[tokio::test]
async fn a_missing_directory_is_reported() {
    let (directory, _) = socket_path();
    let path = directory.path().join("none/vault.sock");
    let error = BoundSocket::bind(&path).expect_err("no directory");
    assert_eq!(
        error.to_string(),
        format!("the socket's directory {}/none does not exist", directory.path().display())
    );
}

#[tokio::test]
async fn a_path_too_long_for_the_kernel_is_reported() {
    let (directory, _) = socket_path();
    let room = MAX_PATH_BYTES - directory.path().as_os_str().len() - 1;
    bind(&directory.path().join("s".repeat(room)));
    let error = BoundSocket::bind(&directory.path().join("s".repeat(room + 1))).expect_err("too long");
    assert!(matches!(error, BindError::TooLong(_)), "{error}");
    assert!(names(&directory).is_empty());
}

#[tokio::test]
async fn a_successor_keeps_its_file() {
    let (directory, path) = socket_path();
    let first = bind(&path);
    let mut second = bind(&path);
    first.unlink();
    drop(first);
    assert_eq!(names(&directory), ["vault.sock"]);
    let (client, _) = tokio::join!(UnixStream::connect(&path), second.accept());
    client.expect("the second one listens");
    drop(second);
    assert!(names(&directory).is_empty());
}

#[tokio::test]
async fn connections_of_our_own_user_come_in_until_the_stream_is_dropped() {
    let (directory, path) = socket_path();
    let mut connections = Box::pin(bind(&path).connections());
    for _ in 0..2 {
        let mut client = UnixStream::connect(&path).await.expect("a listener");
        client.write_all(b"PRI").await.expect("a reader");
        let Some(Ok(mut connection)) = connections.next().await else { panic!("it has no end") };
        let mut read = [0; 3];
        connection.read_exact(&mut read).await.expect("what was sent");
        assert_eq!(&read, b"PRI");
    }
    drop(connections);
    assert!(names(&directory).is_empty());
}

#[tokio::test]
async fn a_server_removes_the_socket_when_it_ends() {
    let (directory, path) = socket_path();
    let (end, ended) = oneshot::channel::<()>();
    let server = tokio::spawn(Server::builder().serve_with_incoming_shutdown(
        CsiDriverProviderServer::new(RefusingProvider),
        bind(&path).connections(),
        async { drop(ended.await) },
    ));
    let channel = Endpoint::from_shared(format!("unix://{}", path.display())).expect("an endpoint");
    let mut client = CsiDriverProviderClient::new(channel.connect_lazy());
    let status = client.mount(MountRequest::default()).await.expect_err("the provider refuses");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    end.send(()).expect("the server listens");
    drop(client);
    server.await.expect("no panic").expect("no error");
    assert!(names(&directory).is_empty());
}

#[test]
fn only_root_and_our_own_user_may_connect() {
    assert!(may_connect(0, 1000));
    assert!(may_connect(1000, 1000));
    assert!(!may_connect(1001, 1000));
    assert!(!may_connect(1000, 0));
}
