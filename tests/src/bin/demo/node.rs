//! coffer-csi alone: `coffer mount` calls it as the driver would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use coffer_tests::{Csi, JwtRole, OpenBao, TestPod, TokenIssuer, coffer_binary};
use serde_json::json;

use crate::{convert, say};

const CLASS: &str = "\
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata:
  name: shop
  namespace: shop
spec:
  provider: vault
  parameters:
    roleName: web
    objects: |
      - objectName: db/username
        secretPath: secret/data/shop/db
        secretKey: username
      - objectName: db/password
        secretPath: secret/data/shop/db
        secretKey: password
        filePermission: 0600
      - objectName: everything.json
        secretPath: secret/data/shop/db
";

/// Mounts a secret, changes it, and mounts again. Then it mounts what a pod of the injector had.
pub(crate) async fn show() -> ExitCode {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let pod = TestPod::new("shop", "web");
    let issuer = TokenIssuer::new();

    say("OpenBao starts, with a secret at secret/shop/db and a login for service accounts");
    let bao = OpenBao::start().await;
    prepare(&bao, &issuer, &pod).await;

    say("coffer-csi starts and listens on a unix socket, as it does on every node");
    let csi = Csi::options().flag(format!("-vault-addr={}", bao.address())).start().await;

    let class = write(dir.path(), "class.yaml", CLASS);
    let token = write(dir.path(), "token", &issuer.token(&pod));
    let target = dir.path().join("mounted");
    say("`coffer mount` calls it as the Secrets Store CSI driver would, for a pod of the account shop/web");
    let mount = || mount_class(&csi, &class, &token, &target);
    if !mount() {
        return ExitCode::FAILURE;
    }
    show_files(&target);

    say(
        "The password changes in OpenBao; the driver asks again, as it does for every pod each minute or two",
    );
    bao.kv_put("shop/db", json!({ "username": "shop", "password": "a-new-one" })).await;
    if !mount() {
        return ExitCode::FAILURE;
    }
    show_files(&target);
    say(&format!("{} login served both mounts", bao.logins()));
    let Some(converted) = convert::converted_class(dir.path()) else { return ExitCode::FAILURE };
    let target = dir.path().join("converted");
    if !mount_class(&csi, &converted, &token, &target) {
        return ExitCode::FAILURE;
    }
    show_files(&target);
    ExitCode::SUCCESS
}

async fn prepare(bao: &OpenBao, issuer: &TokenIssuer, pod: &TestPod) {
    bao.kv_put("shop/db", json!({ "username": "shop", "password": "correct-horse" })).await;
    bao.policy("shop", r#"path "secret/data/shop/*" { capabilities = ["read"] }"#).await;
    bao.jwt_login("kubernetes", issuer).await;
    bao.role("kubernetes", &JwtRole { subject: Some(pod.subject()), ..JwtRole::new("web", "shop") }).await;
}

/// Returns whether the mount succeeded; `coffer mount` itself says why not.
fn mount_class(csi: &Csi, class: &Path, token: &Path, target: &Path) -> bool {
    let mut command = Command::new(coffer_binary("coffer"));
    command.args(["mount", "--namespace=shop", "--service-account=web"]);
    command.arg("--class").arg(class).arg("--token-file").arg(token);
    command.arg("--socket").arg(csi.socket()).arg("--target").arg(target);
    command.status().is_ok_and(|status| status.success())
}

/// Prints the files that a pod sees, without those that `coffer` needs for itself.
fn show_files(target: &Path) {
    for file in files(target) {
        let name = file.strip_prefix(target).unwrap_or(&file).display();
        let contents = fs::read(&file).unwrap_or_default();
        println!("    {name}: {}", String::from_utf8_lossy(&contents));
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] })
        .filter(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")))
        .collect();
    found.sort();
    found
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).expect("write into a temporary directory");
    path
}
