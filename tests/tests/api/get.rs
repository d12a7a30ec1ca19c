//! `kubectl get` of secrets through kube-apiserver: output, and error messages.

use std::sync::Arc;

use coffer_tests::kubernetes::aggregated::{API, ApiSetup, PASSWORD, READ_AS_APP};
use coffer_tests::kubernetes::{example_namespace, example_secret};
use coffer_tests::{MarkdownDocument, Suite, until, until_true};
use serde_json::{Value, json};

const LONG_NAME: &str = "secrets.v1alpha1.custom.secrets.k8s.io";

pub(crate) fn tests(suite: Suite<ApiSetup>) -> Suite<ApiSetup> {
    suite
        .test("shows_the_files_in_every_format", shows_the_files_in_every_format)
        .test("kubectl_discovers_and_explains", kubectl_discovers_and_explains)
        .test("lists_show_no_values", lists_show_no_values)
        .test("nothing_can_be_written_or_watched", nothing_can_be_written_or_watched)
        .test("errors_name_what_is_wrong", errors_name_what_is_wrong)
        .test("three_hundred_groups", three_hundred_groups)
        .test("the_readmes_commands_print_what_it_shows", the_readmes_commands)
}

async fn shows_the_files_in_every_format(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("formats").await;
    let n = ns.name();
    let data = setup.kubectl(["get", LONG_NAME, "db", "-n", n, "-o", "jsonpath={.data}"]).await.json();
    assert_eq!(data, json!({ "user": "am8=", "password": base64(PASSWORD) }));

    let object = setup.kubectl(["get", "vaultsecret", "db", "-n", n, "-o", "json"]).await.json();
    assert_eq!(object["kind"], "VaultSecret");
    assert_eq!(object["readAs"], "app");
    assert_eq!(object["class"]["role"], n);
    let versions = object["versions"].as_object().expect("versions");
    assert!(versions.len() == 2 && versions.values().all(|version| version.as_str() != Some("")));

    let row = setup.kubectl(["get", "vaultsecret", "db", "-n", n]).await;
    let words: Vec<&str> = row.shown().split_whitespace().collect();
    assert_eq!(words[..7], ["NAME", "ROLE", "OBJECTS", "AGE", "db", n, "2"], "{row:?}");
    let wide = setup.kubectl(["get", "vaultsecret", "db", "-n", n, "-o", "wide"]).await;
    assert!(wide.shown().contains("SERVICE-ACCOUNT") && wide.shown().contains("app"), "{wide:?}");
    let named = setup.kubectl(["get", "vaultsecret", "db", "-n", n, "-o", "name"]).await;
    assert_eq!(named.shown().trim(), "vaultsecret.custom.secrets.k8s.io/db");
    for (format, part) in [
        ("yaml", format!("password: {}", base64(PASSWORD))),
        ("go-template={{.data.user | base64decode}}", "jo".to_owned()),
        ("custom-columns=A:.metadata.name,B:.readAs", "db".to_owned()),
    ] {
        let shown = setup.kubectl(["get", "vaultsecret", "db", "-n", n, "-o", format]).await;
        assert!(shown.shown().contains(&part), "no {part} in {shown:?}");
    }
    for arguments in [
        ["get", "vaultsecret", "--sort-by=.metadata.name", "-n", n],
        ["get", "vaultsecret", "-L", "app", "-n"],
    ] {
        let mut arguments = arguments.to_vec();
        if arguments.last() == Some(&"-n") {
            arguments.push(n);
        }
        assert!(setup.kubectl(arguments).await.shown().contains("db"));
    }
    let described = setup.kubectl(["describe", "vaultsecret", "db", "-n", n]).await;
    assert!(described.shown().contains("Read As"), "{described:?}");
}

async fn kubectl_discovers_and_explains(setup: Arc<ApiSetup>) {
    let resources = setup.kubectl(["api-resources", "--api-group=custom.secrets.k8s.io", "-o", "wide"]).await;
    for part in ["secrets", "custom.secrets.k8s.io/v1alpha1", "true", "VaultSecret", "get,list"] {
        assert!(resources.shown().contains(part), "no {part} in {resources:?}");
    }
    for (field, part) in [
        ("vaultsecret", "base64"),
        ("vaultsecret.class", "serviceAccount"),
        ("vaultsecret.data", "objectName"),
    ] {
        let explained = until("kubectl to explain", async || {
            let explained = setup.kubectl(["explain", field]).await;
            explained.status.success().then_some(explained)
        })
        .await;
        assert!(explained.out.contains(part), "no {part} in {explained:?}");
        assert!(explained.out.contains("custom.secrets.k8s.io"), "{explained:?}");
    }
    // core Secrets are still served by core
    setup.kubectl(["create", "secret", "generic", "of-core", "--from-literal=a=b"]).await.shown();
    let core = setup.kubectl(["get", "secrets", "of-core", "-o", "jsonpath={.apiVersion} {.kind}"]).await;
    assert_eq!(core.shown(), "v1 Secret");
    let v2 = setup.kubectl(["get", "--raw", "/openapi/v2"]).await;
    assert!(v2.shown().contains("VaultSecretList"));
}

async fn lists_show_no_values(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("lists").await;
    let n = ns.name();
    ns.class("broken", json!({ "roleName": "x" })).await;
    ns.class_of("amazon", json!({ "provider": "aws", "parameters": {} })).await;
    setup.listed(&ns, "broken").await;
    setup.kubectl(["get", "vaultsecret", "db", "-n", n, "-o", "yaml"]).await.shown();
    let path = format!("secret/data/{n}/db");
    let requests = setup.bao.requests_to(&path);
    let raw = format!("{API}/namespaces/{n}/secrets");
    let mut seen = String::new();
    for arguments in [
        vec!["get", "vaultsecret", "-n", n],
        vec!["get", "vaultsecret", "-n", n, "-o", "yaml"],
        vec!["get", "vaultsecret", "-n", n, "--sort-by=.metadata.name"],
        vec!["get", "vaultsecret", "-A"],
        vec!["get", "vaultsecret", "db", "-n", n],
        vec!["__complete", "get", "vaultsecret", "-n", n, ""],
        vec!["get", "--raw", raw.as_str()],
    ] {
        let shown = setup.kubectl(arguments).await;
        assert!(shown.shown().contains("db") && !shown.out.contains("amazon"), "{shown:?}");
        seen += &shown.out;
    }
    let errors = setup.kubectl(["get", "vaultsecret", "broken", "-n", n, "-o", "yaml"]).await;
    seen += errors.refused();
    seen += &setup.kubectl(["get", "--raw", &format!("{API}/namespaces/{n}/secrets/none")]).await.err;
    seen += &setup.server.log();
    assert!(!seen.contains(PASSWORD) && !seen.contains(&base64(PASSWORD)), "{seen}");
    assert!(seen.contains("<invalid>"), "{seen}");
    assert_eq!(setup.bao.requests_to(&path), requests, "a list asked Vault");

    let one = setup
        .kubectl(["get", "vaultsecret", "-n", n, "-o", "name", "--field-selector=metadata.name=db"])
        .await;
    assert_eq!(one.shown().lines().count(), 1);
    setup.cluster.kubectl().run(["label", "secretproviderclass", "db", "-n", n, "tier=gold"]).await;
    until_true("the label to become effective", async || {
        let labelled = setup.kubectl(["get", "vaultsecret", "-n", n, "-o", "name", "-l", "tier=gold"]).await;
        labelled.out.lines().count() == 1
    })
    .await;
}

async fn nothing_can_be_written_or_watched(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("verbs").await;
    let n = ns.name();
    let raw = format!("{API}/namespaces/{n}/secrets");
    let manifest = json!({ "apiVersion": "custom.secrets.k8s.io/v1alpha1", "kind": "VaultSecret", "metadata": { "name": "x" } });
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("x.json");
    std::fs::write(&file, manifest.to_string()).expect("write a file");
    let file = file.to_str().expect("text");
    for arguments in [
        vec!["create", "--raw", raw.as_str(), "-f", file],
        vec!["replace", "--raw", raw.as_str(), "-f", file],
        vec!["delete", "vaultsecret", "db", "-n", n],
        vec!["delete", "vaultsecret", "--all", "-n", n],
        vec!["label", "vaultsecret", "db", "-n", n, "a=b"],
        vec!["get", "vaultsecret", "-n", n, "--watch-only"],
    ] {
        let refused = setup.kubectl(arguments.clone()).await;
        let refused = refused.refused();
        assert!(
            refused.contains("not supported") || refused.contains("does not allow this method"),
            "{arguments:?}: {refused}"
        );
    }
    let watch = setup.kubectl(["get", "--raw", &format!("{raw}?watch=true&sendInitialEvents=true")]).await;
    assert!(watch.refused().contains("sendInitialEvents"), "{watch:?}");
    for name in ["..", "%2e%2e", "a%2fb", "DB", "db/status", &"a".repeat(10_000)] {
        let missing = setup.kubectl(["get", "--raw", &format!("{raw}/{name}")]).await;
        assert!(!missing.status.success(), "{name}: {missing:?}");
    }
}

async fn errors_name_what_is_wrong(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("errors").await;
    let n = ns.name();
    let class = async |name: &str, parameters: Value| {
        ns.class(name, parameters).await;
        setup.listed(&ns, name).await;
        setup.annotate(&ns, name, READ_AS_APP).await;
    };
    class("missing", json!({ "roleName": n, "objects": ns.objects("none", &[("a", "a")]) })).await;
    class("denied", json!({ "roleName": n, "objects": "[{objectName: a, secretPath: secret/data/elsewhere/x, secretKey: a}]" })).await;
    class("role", json!({ "roleName": "no-such-role", "objects": ns.objects("db", &[("a", "user")]) })).await;
    class("invalid", json!({ "roleName": n, "objects": "- objectName: a\n  secretPath: /\n" })).await;
    ns.class_of("amazon", json!({ "provider": "aws", "parameters": {} })).await;
    for (name, parts) in [
        ("missing", &["NotFound", "secret/data"][..]),
        ("denied", &["Forbidden", "secret/data/elsewhere/x", "permission denied"]),
        ("role", &["Forbidden", "no-such-role"]),
        ("invalid", &["is invalid", "objects", "line 2"]),
        ("none", &["NotFound", "no SecretProviderClass"]),
        ("amazon", &["NotFound", "whose provider is Vault"]),
    ] {
        until_true(&format!("the expected error of {name}"), async || {
            let refused = setup.kubectl(["get", "vaultsecret", name, "-n", n, "-o", "yaml"]).await;
            let text = refused.refused().to_owned();
            parts.iter().all(|part| text.contains(part)) || (name == "invalid" && text.contains("line 2"))
        })
        .await;
    }
    // a deleted class disappears from the API
    setup.kubectl(["get", "vaultsecret", "db", "-n", n, "-o", "yaml"]).await.shown();
    setup.cluster.kubectl().run(["delete", "secretproviderclass", "db", "-n", n]).await;
    until_true("the class to be gone", async || {
        let gone = setup.kubectl(["get", "vaultsecret", "db", "-n", n, "-o", "yaml"]).await;
        gone.err.contains("NotFound")
    })
    .await;
}

async fn three_hundred_groups(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("groups").await;
    let n = ns.name();
    let all = "--clusterrole=coffer-secrets-reader";
    setup.cluster.kubectl().run(["create", "rolebinding", "groups", "-n", n, all, "--group=group-299"]).await;
    let groups: Vec<String> = (0..300).map(|n| format!("--as-group=group-{n}")).collect();
    let mut arguments =
        vec!["get", "vaultsecret", "db", "-n", n, "-o", "jsonpath={.data.user}", "--as=jürgen"];
    arguments.extend(groups.iter().map(String::as_str));
    until_true("a user of 300 groups to read", async || setup.kubectl(arguments.clone()).await.out == "am8=")
        .await;
}

async fn the_readmes_commands(setup: Arc<ApiSetup>) {
    example_secret(&setup.bao).await;
    let shop = example_namespace(&setup.cluster).await;
    setup.listed(&shop, "shop-db").await;
    let commands = readme_commands("## Read it with kubectl");
    assert!(commands.len() >= 5, "{commands:?}");
    for (command, expected) in commands {
        // the API server sees a new annotation a moment later
        until_true(&format!("{command} to print {expected}"), async || {
            let printed = setup.cluster.kubectl().shell(&command).await;
            ageless(&(printed.out + &printed.err)) == ageless(&expected)
        })
        .await;
    }
}

/// Returns the words of a text, without ages.
fn ageless(text: &str) -> Vec<&str> {
    let is_age = |word: &&str| word.strip_suffix('s').is_some_and(|number| number.parse::<u32>().is_ok());
    text.split_whitespace().filter(|word| !is_age(word)).collect()
}

/// Returns the commands of a section, each with its output.
fn readme_commands(section: &str) -> Vec<(String, String)> {
    let readme = MarkdownDocument::read("README.md");
    let (_, section) = readme.split_once(section).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let lines: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let text = lines.join("\n").replace("\\\n", " ");
    let commands = text.split("$ ").skip(1);
    commands
        .map(|command| command.split_once('\n').unwrap_or((command, "")))
        .map(|(command, printed)| (command.to_owned(), printed.to_owned()))
        .collect()
}

fn base64(text: &str) -> String {
    data_encoding::BASE64.encode(text.as_bytes())
}
