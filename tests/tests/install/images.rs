//! The images: each runs as its own user, without capabilities, on a read-only root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use coffer_tests::kubernetes::{Cluster, ClusterOptions, InstalledApi, shipped_folder};
use coffer_tests::{
    HMAC_KEY, IMAGES, ImageStore, Images, OpenBaoSetup, Servers, Suite, TestPod, coffer_binary,
    host_architecture, images_forbidden, until_true, workspace,
};
use serde_json::{Value, json};

pub(crate) fn tests(suite: Suite<BuiltImages>) -> Suite<BuiltImages> {
    smoke(suite.skipped_where(images_forbidden()))
        .test("the_coffer_api_server_image_serves_the_api", the_api_is_served)
        .test("the_build_context_has_only_what_a_build_needs", nothing_needless_is_sent)
        .test("the_same_programs_give_the_same_image", the_same_programs_give_the_same_image)
}

/// Tests of what is shipped for this machine, besides.
pub(crate) fn shipped_tests(suite: Suite<BuiltImages>) -> Suite<BuiltImages> {
    suite
        .skipped_where(images_forbidden().or(not_shipped(host_architecture())))
        .test("each_image_says_what_is_in_it", each_image_says_what_is_in_it)
}

/// Tests of the images for ARM 64, which qemu runs on other machines.
pub(crate) fn arm64_tests(suite: Suite<BuiltImages>) -> Suite<BuiltImages> {
    smoke(suite.skipped_where(images_forbidden().or(not_shipped("arm64"))))
        .test("each_image_says_what_is_in_it", each_image_says_what_is_in_it)
}

fn smoke(suite: Suite<BuiltImages>) -> Suite<BuiltImages> {
    suite
        .test("each_image_has_labels_version_and_help", each_image_has_labels_version_and_help)
        .test("each_image_runs_as_its_user_on_a_read_only_root", each_runs_as_its_user)
        .test("the_coffer_csi_image_mounts_a_secret", a_secret_is_mounted)
}

/// What an SBOM lists and no program has: an optional dependency of `yasna`, whose feature `std`
/// names it (`bit-vec?/std`).
const NEVER_BUILT: &str = "bit-vec";

/// The folder with the static binaries of each architecture, which `cargo xtask image` passes.
fn shipped_binaries() -> Option<PathBuf> {
    std::env::var_os("COFFER_IMAGE_BINARIES").map(PathBuf::from)
}

fn not_shipped(architecture: &str) -> Option<&'static str> {
    let is_there = shipped_binaries().is_some_and(|place| place.join(architecture).is_dir());
    (!is_there).then_some("tests of the shipped images: `cargo xtask image` runs them")
}

pub(crate) struct BuiltImages(Images);

impl BuiltImages {
    /// Builds the images of this machine's architecture: as they are shipped, or without such
    /// binaries from the binaries under test.
    pub(crate) async fn build() -> Self {
        match shipped_binaries() {
            Some(place) => Self(Images::shipped(&ImageStore::new(), &place, host_architecture())),
            None => Self(Images::under_test()),
        }
    }

    /// Builds the images for ARM 64 as they are shipped.
    pub(crate) async fn for_arm64() -> Self {
        let place = shipped_binaries().expect("COFFER_IMAGE_BINARIES");
        Self(Images::shipped(&ImageStore::new(), &place, "arm64"))
    }
}

impl Servers for BuiltImages {
    fn show_logs(&self) {}
}

async fn each_image_has_labels_version_and_help(images: Arc<BuiltImages>) {
    for name in IMAGES {
        let inspected = images.0.inspect(name);
        let labels = &inspected["OCIv1"]["config"]["Labels"];
        let label =
            |label: &str| labels[format!("org.opencontainers.image.{label}")].as_str().unwrap_or_default();
        assert_eq!(label("title"), name);
        assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
        assert_eq!(label("licenses"), "Apache-2.0");
        assert!(label("description").contains("OpenBao"));
        let container = images.0.container(name);
        for (argument, part) in [("--version", env!("CARGO_PKG_VERSION")), ("--help", "--vault-addr")] {
            let output = container.output(&[argument]);
            assert!(output.status.success(), "{name}: {output:?}");
            assert!(String::from_utf8_lossy(&output.stdout).contains(part), "{name}: {output:?}");
        }
    }
    // An image that is built without `cargo xtask image` has the same version.
    let containerfile = fs::read_to_string(workspace().join("Containerfile")).unwrap();
    let version = format!("ARG VERSION={}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(containerfile.matches(&version).count(), 2);
}

/// The licences of what is linked into the programs, and an SBOM that scanners read.
async fn each_image_says_what_is_in_it(images: Arc<BuiltImages>) {
    for name in IMAGES {
        let notices = images.0.file(name, "licenses/THIRD-PARTY-NOTICES.txt");
        let sbom: Value = serde_json::from_str(&images.0.file(name, "sbom.cdx.json")).unwrap();
        assert_eq!(sbom["bomFormat"], "CycloneDX", "{name}");
        let components = sbom["components"].as_array().unwrap();
        // What only helps to build a program is not in it, and needs no notice.
        let is_inside = |component: &&Value| {
            let kind = json!({ "name": "cdx:rustc:dependency_kind", "value": "build" });
            let is_for_build = component["properties"].as_array().is_some_and(|all| all.contains(&kind));
            !is_for_build && component["name"] != NEVER_BUILT
        };
        for component in components.iter().filter(is_inside) {
            let line = format!(
                "  {} {}",
                component["name"].as_str().unwrap(),
                component["version"].as_str().unwrap()
            );
            let own = line.starts_with("  coffer");
            assert_eq!(notices.lines().any(|other| other.starts_with(&line)), !own, "{name}: {line}");
        }
        assert!(components.iter().any(|component| component["name"] == "rustls"), "{name}");
        let license = images.0.file(name, "licenses/LICENSE");
        assert_eq!(license, fs::read_to_string(workspace().join("LICENSE")).unwrap());
    }
}

/// No time and no path of the build gets into an image.
async fn the_same_programs_give_the_same_image(images: Arc<BuiltImages>) {
    let again = BuiltImages::build().await;
    for name in IMAGES {
        assert_eq!(images.0.id(name), again.0.id(name), "{name}");
    }
}

async fn each_runs_as_its_user(images: Arc<BuiltImages>) {
    assert_eq!(images.0.container("coffer-csi").user, "0:0");
    assert_eq!(images.0.container("coffer-api-server").user, "65532:65532");
    // On the read-only root even root cannot create a socket.
    let output = images.0.container("coffer-csi").output(&["--endpoint=/vault.sock", "--health-addr="]);
    assert!(!output.status.success());
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Read-only file system"), "{said}");
}

/// The container of coffer-csi with its socket in a directory of this machine, called by `coffer
/// mount` in place of the driver.
async fn a_secret_is_mounted(images: Arc<BuiltImages>) {
    let (bao, issuer) = OpenBaoSetup::vault().await;
    bao.kv_put("app", json!({ "password": "correct-horse" })).await;
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir(path("providers")).unwrap();
    fs::write(path("key"), HMAC_KEY).unwrap();
    fs::write(path("token"), issuer.token(&TestPod::new("shop", "web"))).unwrap();
    fs::set_permissions(path("token"), fs::Permissions::from_mode(0o600)).unwrap();
    let class = json!({
        "apiVersion": "secrets-store.csi.x-k8s.io/v1", "kind": "SecretProviderClass",
        "metadata": { "name": "app", "namespace": "shop" },
        "spec": { "provider": "vault", "parameters": {
            "roleName": "web",
            "objects": json!([{ "objectName": "password", "secretPath": "secret/data/app", "secretKey": "password" }]).to_string(),
        } },
    });
    fs::write(path("class.yaml"), class.to_string()).unwrap();

    let container = images.0.container("coffer-csi");
    let container = container.mount(&path("providers"), "/provider", "rw").mount(&path("key"), "/key", "ro");
    // By name, so that name resolution is tested in the image as well.
    let address = bao.address().replace("127.0.0.1", "localhost");
    let arguments = ["--endpoint=/provider/vault.sock", "--health-addr=", "--hmac-key-file=/key"];
    let mut csi = container.start(&arguments, &[format!("VAULT_ADDR={address}")]);
    let socket = path("providers").join("vault.sock");
    until_true("the socket", async || {
        assert!(csi.is_running(), "{}", csi.log());
        socket.exists()
    })
    .await;

    let mut mount = Command::new(coffer_binary("coffer"));
    mount.arg("mount");
    for (flag, value) in
        [("--class", path("class.yaml")), ("--token-file", path("token")), ("--target", path("target"))]
    {
        mount.arg(flag).arg(value);
    }
    mount.args(["--namespace=shop", "--service-account=web", "--socket"]).arg(&socket);
    let output = mount.output().unwrap();
    assert!(output.status.success(), "{output:?}\n{}", csi.log());
    assert_eq!(fs::read_to_string(path("target").join("password")).unwrap(), "correct-horse");
}

/// The container of coffer-api-server behind a real kube-apiserver, run as its Deployment says.
async fn the_api_is_served(images: Arc<BuiltImages>) {
    let cluster = Cluster::start(ClusterOptions::default()).await;
    let kubectl = cluster.kubectl();
    kubectl.run(["apply", "-k", &shipped_folder().display().to_string()]).await;
    let mut container = None;
    let mut api = InstalledApi::start_by(&cluster, "coffer-api", "coffer-api-server", |run| {
        // The container's user must be able to read the file, as with kubelet.
        fs::set_permissions(run.kubeconfig, fs::Permissions::from_mode(0o644)).unwrap();
        let made = images.0.container("coffer-api-server").mount(run.kubeconfig, "/kubeconfig", "ro");
        let arguments: Vec<&str> = run.arguments.iter().map(String::as_str).collect();
        let process = made.start(&arguments, &["KUBECONFIG=/kubeconfig".to_owned()]);
        container = Some(made);
        process
    })
    .await;
    until_true("the APIService to be available", async || {
        assert!(api.is_running(), "{}", api.log());
        kubectl.api_is_available().await
    })
    .await;
}

/// `target` would make every build context huge, and `.git` would invalidate the cache at every
/// commit.
async fn nothing_needless_is_sent(images: Arc<BuiltImages>) {
    let root = images.0.copied_context();
    let there = |name: &str| Path::new(&root).join(name).exists();
    for name in [
        "Cargo.toml",
        "Cargo.lock",
        "xtask/Cargo.toml",
        "provider/src",
        "tests/Cargo.toml",
        ".cargo/config.toml",
    ] {
        assert!(there(name), "{name} is missing");
    }
    for name in ["target", ".git", "fuzz"] {
        assert!(!there(name), "{name} is there");
    }
}
