//! Checks the examples of formats with their own files: what the containers run is run here, with
//! the paths of the mounted volumes.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use coffer_tests::kubernetes::aggregated::ApiSetup;
use coffer_tests::kubernetes::{CsiNode, DriverGeneration, mounts_forbidden};
use coffer_tests::{Process, Suite, until, until_true};
use nix::sys::signal::{Signal, killpg};
use reqwest::Method;
use serde_json::{Value, json};

use crate::example_files::ExampleFiles;

pub(crate) fn tests(suite: Suite<ApiSetup>) -> Suite<ApiSetup> {
    suite
        .mounting("the_dotenv_example_starts_a_program_with_its_variables", |setup| async move {
            the_dotenv_example_starts_a_program_with_its_variables(&setup).await;
        })
        .mounting("the_files_example_follows_the_keys_of_the_secret", |setup| async move {
            the_files_example_follows_the_keys_of_the_secret(&setup).await;
        })
        .skipped_where(mounts_forbidden().or(no_nginx()))
        .test("the_nginx_example_serves_each_new_certificate", |setup| async move {
            the_nginx_example_serves_each_new_certificate(&setup).await;
        })
}

const DOTENV: ExampleFiles = ExampleFiles("dotenv");
const FILES: ExampleFiles = ExampleFiles("files");
const NGINX: ExampleFiles = ExampleFiles("nginx-tls");

async fn the_dotenv_example_starts_a_program_with_its_variables(setup: &ApiSetup) {
    let (cluster, bao) = (&setup.cluster, &setup.bao);
    let node = CsiNode::start(DriverGeneration::V1_6, cluster, bao.address()).await;
    DOTENV.set_up_vault(bao);
    DOTENV.apply(cluster.kubectl()).await;
    let pod = DOTENV.pod(cluster.kubectl(), &node, "deployment.yaml").await;
    let volume = node.kubelet.mount(&pod).await;

    let container = &DOTENV.template("deployment.yaml")["spec"]["containers"][0];
    let folder = format!("{}/", volume.target().display());
    let words = words(&container["command"]).map(|word| word.replace("/config/", &folder));
    let words: Vec<String> = words.collect();
    let environment =
        Command::new(&words[0]).args(&words[1..]).args(["/usr/bin/env", "-0"]).env_clear().output().unwrap();
    let environment = String::from_utf8(environment.stdout).unwrap();
    let mut found: Vec<&str> =
        environment.split_terminator('\0').filter(|line| !line.starts_with("PWD=")).collect();
    found.sort_unstable();
    assert_eq!(found, ["DB_HOST=db-0", "DB_PASSWORD=it's $ecret", "DB_USER=shop"]);

    let program: Vec<String> =
        self::words(&container["args"]).map(|word| word.replace("exec sleep infinity", "")).collect();
    let printed = Command::new(&words[0]).args(&words[1..]).args(program).env_clear().output().unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), "user shop connects to db-0\n");
}

async fn the_files_example_follows_the_keys_of_the_secret(setup: &ApiSetup) {
    let (cluster, bao) = (&setup.cluster, &setup.bao);
    let node = CsiNode::start(DriverGeneration::V1_6, cluster, bao.address()).await;
    FILES.set_up_vault(bao);
    FILES.apply(cluster.kubectl()).await;
    let pod = FILES.pod(cluster.kubectl(), &node, "deployment.yaml").await;
    let volume = node.kubelet.mount(&pod).await;
    assert_eq!(volume.read("username").as_deref(), Some("shop"));
    assert_eq!(volume.read("password").as_deref(), Some("correct-horse"));
    assert_eq!(names(volume.target()), ["password", "username"]);

    // what the README's last two commands do
    bao.kv_put(
        "files/config",
        json!({ "username": "shop", "password": "correct-horse", "api-key": "k-123" }),
    )
    .await;
    bao.kv_put("files/license", json!({ "key": "l-456" })).await;
    until_true("the new files", async || {
        node.kubelet.publish(&volume).await.unwrap();
        volume.read("api-key").as_deref() == Some("k-123")
            && volume.read("license/key").as_deref() == Some("l-456")
    })
    .await;
    bao.admin(Method::DELETE, "secret/metadata/files/license", Value::Null).await;
    until_true("the license to go", async || {
        node.kubelet.publish(&volume).await.unwrap();
        volume.read("license/key").is_none()
    })
    .await;
    assert_eq!(volume.read("api-key").as_deref(), Some("k-123"));
}

async fn the_nginx_example_serves_each_new_certificate(setup: &ApiSetup) {
    let (cluster, bao) = (&setup.cluster, &setup.bao);
    let node = CsiNode::start(DriverGeneration::V1_6, cluster, bao.address()).await;
    NGINX.set_up_vault(bao);
    NGINX.apply(cluster.kubectl()).await;
    let pod = NGINX.pod(cluster.kubectl(), &node, "deployment.yaml").await;
    let volume = node.kubelet.mount(&pod).await;

    let dir = tempfile::tempdir().unwrap();
    let root = bao.admin(Method::GET, "pki/cert/ca", Value::Null).await;
    fs::write(dir.path().join("root.pem"), root["data"]["certificate"].as_str().unwrap()).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _nginx = Nginx::start(dir.path(), volume.target(), port);
    let certificate = volume.target().join("server.pem");
    let first = until("nginx to serve", async || served_serial(dir.path(), port)).await;
    assert_eq!(first, serial(&fs::read(&certificate).unwrap()));

    // this node keeps nothing of a pod, so that each mount has a certificate issued
    node.kubelet.publish(&volume).await.unwrap();
    let second = serial(&fs::read(&certificate).unwrap());
    assert_ne!(second, first);
    until_true("nginx to serve the new certificate", async || {
        served_serial(dir.path(), port).as_ref() == Some(&second)
    })
    .await;
}

/// nginx, and the loop beside it: the processes of the example's script.
struct Nginx(Process);

impl Nginx {
    /// Runs the script of the example's ConfigMap with paths of this machine.
    fn start(dir: &Path, tls: &Path, port: u16) -> Self {
        let data = &NGINX.objects("configuration.yaml")[0]["data"];
        for file in ["nginx.conf", "start.sh"] {
            let text = data[file].as_str().unwrap();
            let text = text.replace("/tmp/", "/config/").replace("/tls/", &format!("{}/", tls.display()));
            let text = text.replace("/config/", &format!("{}/", dir.display()));
            let text = text.replace("8443", &format!("127.0.0.1:{port}")).replace("sleep 10", "sleep 0.1");
            fs::write(dir.join(file), text).unwrap();
        }
        let mut command = Command::new("sh");
        command.arg(dir.join("start.sh")).process_group(0);
        Self(Process::start("nginx", &mut command, dir.join("log")))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = killpg(self.0.pid(), Signal::SIGKILL);
    }
}

/// Returns why nginx cannot be used, if so.
fn no_nginx() -> Option<&'static str> {
    let works = Command::new("nginx").arg("-v").output().is_ok();
    (!works).then_some("needs nginx: install Debian's nginx")
}

/// Returns the serial number of the certificate that a server sends, if its chain and name are
/// good.
fn served_serial(dir: &Path, port: u16) -> Option<String> {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-verify_return_error"]);
    command.args(["-verify_hostname", "nginx-tls.nginx-tls.svc", "-CAfile"]).arg(dir.join("root.pem"));
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    output.status.success().then(|| serial(&output.stdout))
}

/// Returns the serial number of the first certificate in a text.
fn serial(text: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let mut command = Command::new("openssl");
    let output = command.args(["x509", "-noout", "-serial", "-in"]).arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn words(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap())
}

/// Returns the names of what an application sees in a volume, sorted.
fn names(volume: &Path) -> Vec<String> {
    let entries = fs::read_dir(volume).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with(".."));
    names.sort();
    names
}
