//! Runs the documents' commands as written, on a real cluster with a real OpenBao: see
//! `COMMAND_BLOCKS`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use coffer_tests::kubernetes::{ClusterWithVault, Namespace, example_class, kubectl_program};
use coffer_tests::{
    BlockTest, COMMAND_BLOCKS, CodeBlock, MarkdownDocument, OpenBao, Suite, block_test, coffer_binary,
    find_bao,
};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

pub(crate) fn tests(suite: Suite<ClusterWithVault>) -> Suite<ClusterWithVault> {
    suite
        .test("the_operating_page_sets_vault_up_and_checks_a_class", operating)
        .test("the_migration_page_works", migrating)
        .test("kube_apiserver_accepts_the_documents_objects", objects)
}

/// A folder for a reader of the documents, with the programs that a reader has.
struct ReaderEnvironment {
    dir: TempDir,
    variables: Vec<(&'static str, OsString)>,
    /// Placeholders in the documents, and the values that replace them.
    placeholders: Vec<(&'static str, String)>,
}

impl ReaderEnvironment {
    fn new(setup: &ClusterWithVault) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let programs = dir.path().join("programs");
        fs::create_dir(&programs).unwrap();
        symlink(kubectl_program(), programs.join("kubectl")).unwrap();
        symlink(find_bao(), programs.join("bao")).unwrap();
        for name in ["coffer", "kubectl-coffer"] {
            symlink(coffer_binary("coffer"), programs.join(name)).unwrap();
        }
        // OpenBao's command line is a fork of Vault's, and OpenBao's server stands in for Vault's
        // here too
        let vault = programs.join("vault");
        fs::write(&vault, "#!/bin/sh\nBAO_ADDR=$VAULT_ADDR exec bao \"$@\"\n").unwrap();
        fs::set_permissions(&vault, fs::Permissions::from_mode(0o755)).unwrap();
        let mut path = OsString::from(&programs);
        path.push(":/usr/bin:/bin");
        let variables = vec![
            ("PATH", path),
            ("HOME", dir.path().into()),
            ("KUBECONFIG", setup.cluster.kubectl().kubeconfig().into()),
        ];
        Self { dir, variables, placeholders: Vec::new() }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Runs all runnable blocks of a document in the table's order, up to and with the block that
    /// begins with `last`.
    async fn run_to(&self, document: &str, last: &str) {
        self.run(document, "", last).await;
    }

    /// Runs the runnable blocks of a document from the one that begins with `first` to the one that
    /// begins with `last`.
    async fn run(&self, document: &str, first: &str, last: &str) {
        let text = MarkdownDocument { path: document.to_owned(), text: MarkdownDocument::read(document) };
        let blocks = text.blocks();
        let to_run = |block: &&CodeBlock| block_test(document, &block.text) == Some(BlockTest::Run);
        let due = COMMAND_BLOCKS.iter().filter(|(of, ..)| *of == document).flat_map(|(_, begins, _)| {
            blocks.iter().filter(to_run).filter(move |block| block.text.starts_with(begins))
        });
        let mut begun = false;
        for block in due {
            begun |= block.text.starts_with(first);
            if begun {
                self.run_block(block).await;
            }
            if begun && block.text.starts_with(last) {
                return;
            }
        }
        panic!("{document} has no block that begins with {last:?} and is to be run");
    }

    async fn run_block(&self, block: &CodeBlock) {
        let text = self
            .placeholders
            .iter()
            .fold(block.text.clone(), |text, (placeholder, value)| text.replace(placeholder, value));
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", &text]).current_dir(self.dir.path()).env_clear();
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{}:\n{text}\n{output:?}", block.place());
    }
}

async fn operating(setup: Arc<ClusterWithVault>) {
    let (vault, bao) = (OpenBao::start().await, OpenBao::start().await);
    let mut reader = ReaderEnvironment::new(&setup);
    let admin = setup.cluster.api_server().admin();
    let reviewer = setup.cluster.account_kubeconfig("default", "token-reviewer").await.token;
    fs::write(reader.path("ca.crt"), &admin.authority).unwrap();
    fs::write(reader.path("reviewer.token"), reviewer).unwrap();
    fs::copy(example_class(), reader.path("class.yaml")).unwrap();
    for (name, value) in
        [("VAULT_ADDR", vault.address()), ("BAO_ADDR", bao.address()), ("BAO_TOKEN", OpenBao::ROOT_TOKEN)]
    {
        reader.variables.push((name, value.into()));
    }
    reader.placeholders = vec![("https://KUBE_APISERVER:6443", admin.server.clone())];

    setup.cluster.kubectl().run(["create", "namespace", "shop"]).await;
    Namespace::existing(setup.cluster.client(), "shop").account("shop").await;
    for server in [&vault, &bao] {
        server.kv_put("shop/db", json!({ "username": "shop", "password": "correct-horse" })).await;
    }
    reader.run_to("docs/operating.md", "bao policy write shop").await;
    // checks the page's login and role on each server, with the page's own command
    for server in [&vault, &bao] {
        reader.placeholders.push(("https://vault.example:8200", server.address().to_owned()));
        reader.run("docs/operating.md", "kubectl create token shop", "kubectl create token shop").await;
        reader.placeholders.pop();
        assert_eq!(server.requests_to("secret/data/shop/db"), 1);
    }
    let refused = vault.http_status(Method::POST, "sys/audit/file", json!({ "type": "file" })).await;
    assert_eq!(refused, 400, "OpenBao accepts audit devices now: update docs/operating.md");
}

async fn migrating(setup: Arc<ClusterWithVault>) {
    let kubectl = setup.cluster.kubectl();
    let mut reader = ReaderEnvironment::new(&setup);
    kubectl.run(["create", "namespace", "vault"]).await;
    let key: Vec<u8> = (0..32).map(|n| n * 37 + 130).map(|n: u32| (n % 256) as u8).collect();
    fs::write(reader.path("incumbent"), &key).unwrap();
    let from = format!("--from-file=key={}", reader.path("incumbent").display());
    kubectl
        .run(["create", "secret", "generic", "vault-csi-provider-hmac-key", "--namespace=vault", &from])
        .await;
    apply(&reader, &setup, &incumbent()).await;
    apply(&reader, &setup, &json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "worker" } }))
        .await;
    // namespace coffer already has the shipped rights of the nodes: the page creates another one
    reader.placeholders = vec![
        ("NODE", "worker".to_owned()),
        ("namespace coffer", "namespace moved-in".to_owned()),
        ("REGISTRY/coffer-csi:VERSION", "registry.example/coffer-csi:1".to_owned()),
    ];
    reader.run_to("docs/migrate.md", "kubectl delete pod --namespace vault").await;
    let set = get(&setup, &["daemonset", "vault-csi-provider", "-n", "vault"]).await;
    assert_eq!(set["spec"]["updateStrategy"], json!({ "type": "OnDelete" }));
    let image = &set["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, "registry.example/coffer-csi:1");

    let last = "kubectl label node NODE secrets-provider=none";
    reader
        .run(
            "docs/migrate.md",
            "kubectl patch daemonset vault-csi-provider --namespace vault --patch '{\"spec\": {\"template\"",
            last,
        )
        .await;
    let set = get(&setup, &["daemonset", "vault-csi-provider", "-n", "vault"]).await;
    let affinity = &set["spec"]["template"]["spec"]["affinity"]["nodeAffinity"];
    let term = &affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"][0];
    assert_eq!(term["matchExpressions"][0], json!({ "key": "secrets-provider", "operator": "DoesNotExist" }));
    let secret = |namespace| ["secret", "vault-csi-provider-hmac-key", "-n", namespace];
    let (old, new) = (get(&setup, &secret("vault")).await, get(&setup, &secret("moved-in")).await);
    assert_eq!(old["data"], new["data"]);
    assert!(!reader.path("hmac-key").exists(), "the key file is still there");
    let node = get(&setup, &["node", "worker"]).await;
    assert_eq!(node["metadata"]["labels"]["secrets-provider"], "coffer");

    let compared = reader.path("versions.after");
    assert_eq!(fs::read(reader.path("versions.before")).unwrap(), fs::read(compared).unwrap());
}

/// Returns the DaemonSet of HashiCorp's provider, as far as the page changes it.
fn incumbent() -> Value {
    let labels = json!({ "app.kubernetes.io/name": "vault-csi-provider" });
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": { "name": "vault-csi-provider", "namespace": "vault" },
        "spec": {
            "selector": { "matchLabels": labels },
            "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 1 } },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "vault-csi-provider", "image": "incumbent:1" }] },
            },
        },
    })
}

async fn objects(setup: Arc<ClusterWithVault>) {
    let reader = ReaderEnvironment::new(&setup);
    let mut tried = 0;
    for block in MarkdownDocument::all()
        .iter()
        .flat_map(MarkdownDocument::blocks)
        .filter(|block| block.language == "yaml")
    {
        let objects: Vec<Value> = serde_saphyr::from_multiple(&block.text).unwrap();
        for mut object in objects.into_iter().filter(|object| object["kind"].is_string()) {
            // the text around the block creates its namespace
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("namespace");
            }
            let file = write(&reader.path("object.json"), &object);
            let arguments = ["apply", "--dry-run=server", "--validate=strict", "--filename", &file];
            setup.cluster.kubectl().run(arguments).await;
            tried += 1;
        }
    }
    assert!(tried >= 2, "{tried}");
}

async fn apply(reader: &ReaderEnvironment, setup: &ClusterWithVault, object: &Value) {
    let file = write(&reader.path("object.json"), object);
    setup.cluster.kubectl().run(["apply", "--filename", &file]).await;
}

fn write(path: &Path, object: &Value) -> String {
    fs::write(path, object.to_string()).unwrap();
    path.display().to_string()
}

async fn get(setup: &ClusterWithVault, what: &[&str]) -> Value {
    let shown = setup.cluster.kubectl().run(["get"].iter().chain(what).chain(&["-o", "json"])).await;
    serde_json::from_str(&shown).unwrap()
}
