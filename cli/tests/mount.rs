//! `coffer mount` with a provider that answers with the request that it got.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{fs, thread};

use coffer_proto::v1alpha1::csi_driver_provider_server::{CsiDriverProvider, CsiDriverProviderServer};
use coffer_proto::v1alpha1::{
    File, MountRequest, MountResponse, ObjectVersion, VersionRequest, VersionResponse,
};
use futures_util::stream;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

const CLASS: &str = "\
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata:
  name: db
spec:
  provider: echo
  parameters:
    roleName: app
";

/// A provider that answers with the request as a file, or with an error for the role `none`.
struct EchoProvider;

#[tonic::async_trait]
impl CsiDriverProvider for EchoProvider {
    async fn version(&self, _: Request<VersionRequest>) -> Result<Response<VersionResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn mount(&self, request: Request<MountRequest>) -> Result<Response<MountResponse>, Status> {
        let timeout = request.metadata().get("grpc-timeout").cloned();
        let MountRequest { attributes, secrets, target_path, permission, current_object_version } =
            request.into_inner();
        if attributes.contains("none") {
            return Err(Status::permission_denied("role \"none\" is not known"));
        }
        let path = if attributes.contains("escape") { "../request" } else { "sub/request" };
        let asked = json!({
            "attributes": attributes,
            "secrets": secrets,
            "targetPath": target_path,
            "permission": permission,
            "versions": current_object_version.len(),
            "timeout": timeout.is_some(),
        });
        Ok(Response::new(MountResponse {
            object_version: vec![ObjectVersion { id: path.into(), version: "v1".into() }],
            error: None,
            files: vec![File { path: path.into(), mode: 0o440, contents: asked.to_string().into() }],
        }))
    }
}

/// A directory with a class, a token, and a provider's socket.
struct MountSite(TempDir);

impl MountSite {
    fn new(class: &str) -> Self {
        let site = Self(tempdir().expect("a directory"));
        fs::write(site.path("class.yaml"), class).expect("the class");
        fs::write(site.path("token"), "opaque\n").expect("the token");
        let listener = UnixListener::bind(site.path("echo.sock")).expect("a socket");
        thread::spawn(move || serve(listener));
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn mount(&self, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_coffer"))
            .current_dir(self.0.path())
            .args(["mount", "--class", "class.yaml", "--namespace", "shop", "--service-account", "web"])
            .args(["--target", "volume", "--permission", "0400"])
            .args(more)
            .output()
            .expect("the command runs")
    }
}

fn serve(listener: UnixListener) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        listener.set_nonblocking(true).expect("a listener");
        let listener = tokio::net::UnixListener::from_std(listener).expect("a listener");
        let incoming = stream::unfold(listener, |listener| async {
            let connection = listener.accept().await.map(|(connection, _)| connection);
            Some((connection, listener))
        });
        let service = CsiDriverProviderServer::new(EchoProvider);
        Server::builder().serve_with_incoming(service, incoming).await.expect("a server");
    });
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).expect("a file")).expect("JSON")
}

fn failure(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_class_is_mounted_as_the_driver_mounts_it() {
    let site = MountSite::new(CLASS);
    for _ in 0..2 {
        let output = site.mount(&["--socket", "echo.sock", "--token-file", "token"]);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(text.starts_with("db (provider echo)\nFILE"), "{text}");
        assert!(text.contains("\nsub/request  0440  "), "{text}");
    }
    let file = site.path("volume/sub/request");
    assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o440);
    let asked = json(&file);
    let volume = fs::canonicalize(site.path("volume")).expect("the volume");
    assert_eq!(asked["targetPath"], volume.to_str().expect("text"));
    assert_eq!((&asked["permission"], &asked["secrets"]), (&json!("256"), &json!("null")));
    assert_eq!((&asked["versions"], &asked["timeout"]), (&json!(0), &json!(true)));
    let attributes: Value = serde_json::from_str(asked["attributes"].as_str().expect("text")).expect("JSON");
    assert_eq!(attributes["roleName"], "app");
    assert_eq!(attributes["csi.storage.k8s.io/pod.namespace"], "shop");
    assert_eq!(attributes["csi.storage.k8s.io/serviceAccount.name"], "web");
    assert_eq!(attributes["csi.storage.k8s.io/serviceAccount.tokens"], r#"{"vault":{"token":"opaque"}}"#);
}

#[test]
fn the_json_report_lists_files_and_versions() {
    let site = MountSite::new(CLASS);
    let output = site.mount(&["--socket", "echo.sock", "--output", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["provider"], "echo");
    assert_eq!(report["files"][0]["path"], "sub/request");
    assert_eq!(report["objectVersions"], json!([{ "id": "sub/request", "version": "v1" }]));
}

#[test]
fn the_provider_s_error_is_shown_and_nothing_written() {
    let site = MountSite::new(&CLASS.replace("app", "none"));
    let error = failure(&site.mount(&["--socket", "echo.sock"]));
    let status = "rpc error: code = PermissionDenied desc = role \"none\" is not known";
    assert_eq!(error, format!("coffer: cannot mount db from provider echo: {status}\n"));
    assert!(!site.path("volume").exists());
}

#[test]
fn a_path_that_leads_out_is_not_written() {
    let site = MountSite::new(&CLASS.replace("app", "escape"));
    let error = failure(&site.mount(&["--socket", "echo.sock"]));
    assert_eq!(error, "coffer: the answer's file \"../request\": the path has a `..`\n");
    assert!(!site.path("volume").exists() && !site.path("request").exists());
}

#[test]
fn a_socket_without_a_provider_is_reported() {
    let site = MountSite::new(CLASS);
    assert!(failure(&site.mount(&["--socket", "none.sock"])).contains("there is no socket none.sock"));
    drop(UnixListener::bind(site.path("stale.sock")).expect("a socket"));
    assert!(failure(&site.mount(&["--socket", "stale.sock"])).contains("nobody listens on stale.sock"));
}

#[test]
fn a_class_of_another_namespace_is_refused() {
    let site = MountSite::new(&CLASS.replace("name: db", "name: db\n  namespace: other"));
    let error = failure(&site.mount(&["--socket", "echo.sock"]));
    assert_eq!(error, "coffer: class db is in namespace other: no pod of shop can use it\n");
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    let site = MountSite::new(CLASS);
    for wrong in [&["--permission", "9"][..], &["--audience", "a"], &["--output", "yaml"], &["--none"]] {
        assert_eq!(site.mount(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
