//! Which cluster `coffer check --cluster` asks, and the way there: kubeconfigs, contexts and
//! proxies.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use coffer_tests::kubernetes::ClusterWithVault;
use coffer_tests::{ForwardProxy, Suite, coffer_binary};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

pub(crate) fn tests(suite: Suite<ClusterWithVault>) -> Suite<ClusterWithVault> {
    suite
        .test("a_context_and_its_namespace_are_chosen", a_context_and_its_namespace_are_chosen)
        .test("files_of_kubeconfig_are_merged", files_of_kubeconfig_are_merged)
        .test("mistakes_in_a_kubeconfig_are_told", mistakes_in_a_kubeconfig_are_told)
        .test("a_credential_plugin_is_run", a_credential_plugin_is_run)
        .test("the_cluster_is_reached_through_proxies", the_cluster_is_reached_through_proxies)
}

/// A kubeconfig that a test changes.
struct KubeconfigSetup {
    dir: TempDir,
    document: Value,
}

impl KubeconfigSetup {
    fn new(setup: &ClusterWithVault) -> Self {
        let text = std::fs::read(setup.cluster.kubectl().kubeconfig()).unwrap();
        Self { dir: tempfile::tempdir().unwrap(), document: serde_json::from_slice(&text).unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, document: &Value) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, document.to_string()).unwrap();
        path
    }

    /// Writes the kubeconfig after a change.
    fn changed(&self, name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        let mut document = self.document.clone();
        change(&mut document);
        self.write(name, &document)
    }

    async fn check(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut command = Command::new(coffer_binary("coffer"));
        command.env_clear().env("HOME", self.path("home")).current_dir(self.dir.path());
        command.envs(variables.iter().copied()).args(["check", "--cluster", "--output=json"]).args(arguments);
        command.output().await.unwrap()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn classes(output: &Output) -> u64 {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    report["classes"].as_u64().unwrap()
}

fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Adds a context `other` of this namespace.
fn with_context(document: &mut Value, namespace: &str) {
    let context = json!({ "cluster": "test", "user": "test", "namespace": namespace });
    document["contexts"].as_array_mut().unwrap().push(json!({ "name": "other", "context": context }));
}

async fn a_context_and_its_namespace_are_chosen(setup: Arc<ClusterWithVault>) {
    let namespace = setup.namespace("context").await;
    namespace
        .class("db", json!({ "roleName": "r", "objects": namespace.objects("db", &[("f", "k")]) }))
        .await;
    let local = KubeconfigSetup::new(&setup);
    let file = local.changed("config", |document| {
        with_context(document, namespace.name());
        document["contexts"][0]["context"]["namespace"] = json!("default");
    });
    let chosen = local.check(&[], &["--kubeconfig", text(&file), "--context=other"]).await;
    assert_eq!(classes(&chosen), 1, "{chosen:?}");
    let current = local.check(&[("KUBECONFIG", text(&file))], &[]).await;
    assert_eq!(classes(&current), 0, "{current:?}");
    let named = local.check(&[("KUBECONFIG", text(&file))], &["-n", namespace.name()]).await;
    assert_eq!(classes(&named), 1, "{named:?}");
    // ~/.kube/config, and --kubeconfig over KUBECONFIG
    std::fs::create_dir_all(local.path("home/.kube")).unwrap();
    std::fs::copy(&file, local.path("home/.kube/config")).unwrap();
    assert_eq!(classes(&local.check(&[], &["--context=other"]).await), 1);
    let over =
        local.check(&[("KUBECONFIG", "/nowhere")], &["--kubeconfig", "config", "--context=other"]).await;
    assert_eq!(classes(&over), 1, "{over:?}");
}

async fn files_of_kubeconfig_are_merged(setup: Arc<ClusterWithVault>) {
    let local = KubeconfigSetup::new(&setup);
    let (mut clusters, mut users) = (local.document.clone(), local.document.clone());
    users.as_object_mut().unwrap().remove("clusters");
    clusters
        .as_object_mut()
        .unwrap()
        .retain(|name, _| name == "clusters" || name == "kind" || name == "apiVersion");
    // the authority's file is named relative to the kubeconfig
    let data =
        clusters["clusters"][0]["cluster"].as_object_mut().unwrap().remove("certificate-authority-data");
    let pem = data_encoding::BASE64.decode(data.unwrap().as_str().unwrap().as_bytes()).unwrap();
    clusters["clusters"][0]["cluster"]["certificate-authority"] = json!("ca.pem");
    let clusters = local.write("a/clusters", &clusters);
    std::fs::write(local.path("a/ca.pem"), pem).unwrap();
    let users = local.write("b/users", &users);
    let list = format!("/nowhere/config::{}:{}", clusters.display(), users.display());
    let output = local.check(&[("KUBECONFIG", &list)], &["-A"]).await;
    assert!(output.status.code() != Some(2), "{output:?}");
}

async fn mistakes_in_a_kubeconfig_are_told(setup: Arc<ClusterWithVault>) {
    let local = KubeconfigSetup::new(&setup);
    let token = local.document["users"][0]["user"]["token"].as_str().unwrap().to_owned();
    let good = local.changed("good", |document| with_context(document, "default"));
    let path = |name: &str, change: &dyn Fn(&mut Value)| text(&local.changed(name, change)).to_owned();
    let no_current = path("no-current", &|document| {
        document.as_object_mut().unwrap().remove("current-context");
    });
    let no_cluster = path("no-cluster", &|document| document["clusters"][0]["name"] = json!("elsewhere"));
    let no_server = path("no-server", &|document| document["clusters"][0]["cluster"]["server"] = json!(""));
    let no_file = path("no-file", &|document| {
        let cluster = document["clusters"][0]["cluster"].as_object_mut().unwrap();
        cluster.remove("certificate-authority-data");
        cluster.insert("certificate-authority".to_owned(), json!("gone.pem"));
    });
    let no_plugin = path("no-plugin", &|document| {
        document["users"][0]["user"] = json!({ "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "coffer-no-such-plugin",
            "installHint": "Install it from example.com",
            "interactiveMode": "Never",
        } });
    });
    let provider = path("provider", &|document| {
        document["users"][0]["user"] = json!({ "auth-provider": { "name": "oidc" } });
    });
    let proxy = path("proxy", &|document| {
        document["clusters"][0]["cluster"]["proxy-url"] = json!("socks4://jo:hush@proxy");
    });
    let garbled = local.path("garbled");
    std::fs::write(&garbled, format!("apiVersion: v1\nusers: [{{name: a, user: {{token: {token}}}]\n"))
        .unwrap();
    for (file, arguments, message) in [
        (
            text(&good),
            &["--context=prod"][..],
            "the kubeconfig has no context \"prod\", but \"other\", \"test\"",
        ),
        (&no_current, &[], "the kubeconfig has no current context: choose one by --context (\"test\")"),
        (&no_cluster, &[], "no cluster \"test\", which its context \"test\" names, but \"elsewhere\""),
        (&no_server, &[], "the kubeconfig's cluster \"test\" has no server"),
        (&no_file, &[], "gone.pem"),
        ("/nowhere", &[], "the kubeconfig /nowhere cannot be read: No such file or directory"),
        (text(&garbled), &[], "garbled is no kubeconfig: line 2, column"),
        (
            &no_plugin,
            &[],
            "credential plugin \"coffer-no-such-plugin\" does not start: No such file or directory (os error 2). Install \
             it from example.com",
        ),
        (&provider, &[], "the kubeconfig's auth-provider \"oidc\" is not supported"),
        (
            &proxy,
            &[],
            "proxy-url of the kubeconfig's cluster \"test\" names no proxy: proxies of the kind \"socks4\"",
        ),
    ] {
        let output = local.check(&[], &[&["--kubeconfig", file], arguments].concat()).await;
        let error = error(&output);
        assert!(error.contains(message), "{file}: {error}");
        assert!(!error.contains(&token) && !error.contains("hush"), "{error}");
    }
    let none = error(&local.check(&[], &[]).await);
    assert!(none.contains("neither a pod's service account nor a kubeconfig leads there"), "{none}");
    let none = error(&local.check(&[], &["--context=a"]).await);
    assert!(none.contains("there is no kubeconfig, and so no context \"a\""), "{none}");
}

async fn a_credential_plugin_is_run(setup: Arc<ClusterWithVault>) {
    let local = KubeconfigSetup::new(&setup);
    let token = local.document["users"][0]["user"]["token"].as_str().unwrap().to_owned();
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": { "token": token },
    });
    let with_plugin = |name: &str, script: String| {
        local.changed(name, |document| {
            document["users"][0]["user"] = json!({ "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": "/bin/sh",
                "args": ["-c", script],
                "env": [{ "name": "PLUGIN_SECRET", "value": "hush" }],
                "interactiveMode": "Never",
            } });
        })
    };
    let good = with_plugin("good", format!("test $PLUGIN_SECRET = hush && echo '{credential}'"));
    let output = local.check(&[], &["-A", "--kubeconfig", text(&good)]).await;
    assert!(output.status.code() != Some(2), "{output:?}");
    for (script, message) in [
        (format!("echo {token}; echo {token} >&2; exit 3"), "failed (exit status: 3)"),
        (format!("echo {token}"), "printed no ExecCredential with a status"),
    ] {
        let bad = with_plugin("bad", script);
        let output = local.check(&[], &["-A", "--kubeconfig", text(&bad)]).await;
        let error = error(&output);
        assert!(error.contains("credential plugin \"/bin/sh\"") && error.contains(message), "{error}");
        assert!(!error.contains(&token) && !error.contains("hush"), "{error}");
    }
}

/// The kubeconfig's server gets a name that only the proxy knows.
async fn the_cluster_is_reached_through_proxies(setup: Arc<ClusterWithVault>) {
    const NAME: &str = "cluster.invalid";
    let local = KubeconfigSetup::new(&setup);
    let server = local.document["clusters"][0]["cluster"]["server"].as_str().unwrap().to_owned();
    let address = server.trim_start_matches("https://").parse().unwrap();
    let named = |document: &mut Value| {
        let cluster = &mut document["clusters"][0]["cluster"];
        cluster["server"] = json!(format!("https://{NAME}:6443"));
        cluster["tls-server-name"] = json!(server.trim_start_matches("https://").split(':').next());
    };
    let file = local.changed("config", named);
    let arguments = ["-A", "--kubeconfig", text(&file)];
    for (scheme, asked) in [
        ("http", "CONNECT cluster.invalid:6443"),
        ("socks5", "SOCKS cluster.invalid:6443"),
        ("socks5h", "SOCKS cluster.invalid:6443"),
    ] {
        let proxy = ForwardProxy::start(&[(NAME, address)], Some(("jo", "p@ss"))).await;
        let url = format!("{scheme}://jo:p%40ss@{}", proxy.address());
        let output = local.check(&[("HTTPS_PROXY", &url)], &arguments).await;
        assert!(output.status.code() != Some(2), "{scheme}: {output:?}");
        assert_eq!(proxy.asked().first().map(String::as_str), Some(asked));

        let direct =
            error(&local.check(&[("https_proxy", &url), ("NO_PROXY", ".invalid")], &arguments).await);
        assert!(
            direct.contains("kube-apiserver cannot be reached: the lookup of cluster.invalid"),
            "{direct}"
        );

        let by_file = local.changed("by-file", |document| {
            named(document);
            document["clusters"][0]["cluster"]["proxy-url"] = json!(url);
        });
        let before = proxy.asked().len();
        let arguments = ["-A", "--kubeconfig", text(&by_file)];
        let output =
            local.check(&[("NO_PROXY", "*"), ("HTTPS_PROXY", "http://127.0.0.1:1")], &arguments).await;
        assert!(output.status.code() != Some(2), "{scheme}: {output:?}");
        assert!(proxy.asked().len() > before, "{:?}", proxy.asked());

        let wrong = format!("{scheme}://jo:wrong@{}", proxy.address());
        let refused = error(
            &local
                .check(
                    &[("HTTPS_PROXY", &wrong)],
                    &arguments[..1].iter().copied().chain(["--kubeconfig", text(&file)]).collect::<Vec<_>>(),
                )
                .await,
        );
        assert!(refused.contains("(HTTPS_PROXY) refused"), "{refused}");
        assert!(!refused.contains("wrong"), "{refused}");
    }
}
