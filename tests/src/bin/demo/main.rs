//! `cargo xtask demo`: a real OpenBao, the built provider, and a secret that changes.

mod leases;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use coffer_tests::kubernetes::aggregated::ApiSetup;
use coffer_tests::kubernetes::{
    Cluster, ClusterOptions, ClusterWithVault, CsiNode, DriverGeneration, Namespace, PodVolume,
    example_namespace, example_secret, mounts_forbidden,
};
use coffer_tests::{
    Csi, JwtRole, OpenBao, TestPod, TokenIssuer, coffer_binary, postgres_is_installed, until,
};
use serde_json::json;

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

/// Shows the part that the argument names: `node`, which needs only OpenBao, or `cluster`.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("node") => node().await,
        Some("cluster") => cluster().await,
        _ => {
            eprintln!("node or cluster?");
            ExitCode::FAILURE
        }
    }
}

/// Shows coffer-csi, called as the driver would call it.
async fn node() -> ExitCode {
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
    let mount = || mount(&csi, &class, &token, &target);
    if !mount() {
        return ExitCode::FAILURE;
    }
    show(&target);

    say(
        "The password changes in OpenBao; the driver asks again, as it does for every pod each minute or two",
    );
    bao.kv_put("shop/db", json!({ "username": "shop", "password": "a-new-one" })).await;
    if !mount() {
        return ExitCode::FAILURE;
    }
    show(&target);
    say(&format!("{} login served both mounts", bao.logins()));
    ExitCode::SUCCESS
}

/// Shows a real kube-apiserver, and credentials that live as long as their pod.
async fn cluster() -> ExitCode {
    if postgres_is_installed() {
        leases::show().await;
    } else {
        say("To see credentials of a database too: install Debian's package postgresql");
    }
    with_kubernetes().await;
    say("Done. Everything that was started ends now");
    ExitCode::SUCCESS
}

/// Shows a volume, where the demo plays kubelet, and reads with kubectl.
async fn with_kubernetes() {
    say("kube-apiserver and OpenBao start; kubectl applies examples/secretproviderclass.yaml");
    let (cluster, bao) = ClusterWithVault::without_nodes(ClusterOptions::default()).await;
    example_secret(&bao).await;
    let shop = example_namespace(&cluster).await;
    match mounts_forbidden() {
        Some(reason) => say(&format!("The part with the CSI driver is left out: it {reason}")),
        None => through_the_driver(&cluster, &bao, &shop).await,
    }

    say("coffer-api-server starts behind kube-apiserver: the same class, read by kubectl");
    let setup = ApiSetup::between(cluster, bao).await;
    setup.listed(&shop, "shop-db").await;
    for command in [
        "kubectl create rolebinding coffer-token-minter --namespace shop \\\n      \
         --clusterrole coffer-token-minter --serviceaccount coffer-api:coffer-api-server",
        "kubectl annotate secretproviderclass shop-db --namespace shop custom.secrets.k8s.io/service-account=shop",
        "kubectl get vaultsecret --namespace shop",
        "kubectl get vaultsecret shop-db --namespace shop -o jsonpath='{.data}'",
    ] {
        println!("    $ {command}");
        let shown = until("the command to work", async || {
            let printed = setup.cluster.kubectl().shell(command).await;
            printed.status.success().then_some(printed.out)
        })
        .await;
        shown.lines().for_each(|line| println!("    {line}"));
    }
}

/// Mounts the class for a pod, and again after the secret changed.
async fn through_the_driver(cluster: &Cluster, bao: &OpenBao, shop: &Namespace) {
    say("The CSI driver 1.6 and coffer-csi start; kubelet mounts the class for a new pod");
    let node = CsiNode::start(DriverGeneration::V1_6, cluster, bao.address()).await;
    let volume = node.kubelet.mount(&shop.pod(&node, "shop", "shop-db").await).await;
    show_volume(shop, &volume).await;

    say("The password changes in OpenBao; kubelet publishes the volume again");
    bao.kv_put("shop/db", json!({ "username": "shop", "password": "a-new-one" })).await;
    node.kubelet.publish(&volume).await.expect("the volume is published again");
    show_volume(shop, &volume).await;
    node.kubelet.unmount(&volume).await;
}

/// Prints the files of the example's class, and their versions in SecretProviderClassPodStatus.
async fn show_volume(namespace: &Namespace, volume: &PodVolume) {
    let versions = namespace.versions(&volume.pod, volume.class()).await.unwrap_or_default();
    for (file, version) in versions {
        println!("    {file}: {} (version {version})", volume.read(&file).unwrap_or_default());
    }
}

async fn prepare(bao: &OpenBao, issuer: &TokenIssuer, pod: &TestPod) {
    bao.kv_put("shop/db", json!({ "username": "shop", "password": "correct-horse" })).await;
    bao.policy("shop", r#"path "secret/data/shop/*" { capabilities = ["read"] }"#).await;
    bao.jwt_login("kubernetes", issuer).await;
    bao.role("kubernetes", &JwtRole { subject: Some(pod.subject()), ..JwtRole::new("web", "shop") }).await;
}

fn mount(csi: &Csi, class: &Path, token: &Path, target: &Path) -> bool {
    let mut command = Command::new(coffer_binary("coffer"));
    command.args(["mount", "--namespace=shop", "--service-account=web"]);
    command.arg("--class").arg(class).arg("--token-file").arg(token);
    command.arg("--socket").arg(csi.socket()).arg("--target").arg(target);
    command.status().is_ok_and(|status| status.success())
}

/// Prints the folder as a pod sees it, without `coffer`'s own files.
fn show(target: &Path) {
    for file in files(target) {
        let name = file.strip_prefix(target).unwrap_or(&file).display();
        let contents = std::fs::read(&file).unwrap_or_default();
        println!("    {name}: {}", String::from_utf8_lossy(&contents));
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] })
        .filter(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")))
        .collect();
    found.sort();
    found
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("write into a temporary directory");
    path
}

fn say(text: &str) {
    println!("\n{text}.");
}
