//! `coffer check --policy`, and what hostile manifests do to a terminal.

mod common;

use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{files, text};

const POLICY: &str = "\
rules:
  - namespaces: [shop]
    vaultAddresses: [\"https://vault.example.com:8200\"]
    authMounts: [kubernetes]
    roles: [\"shop-*\"]
    skipTLSVerify: false
  - namespaces: [default]
    audiences: [vault]
";

const CLASSES: &str = "\
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata: {name: wrong, namespace: shop}
spec:
  provider: vault
  parameters:
    roleName: admin
    baoAddress: https://vault.evil.net
    vaultKubernetesMountPath: cert
    vaultSkipTLSVerify: 'true'
    objects: '[{objectName: user, secretPath: secret/data/db}]'
---
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata: {name: right, namespace: shop}
spec:
  provider: vault
  parameters:
    roleName: shop-web
    objects: '[{objectName: user, secretPath: secret/data/db}]'
";

/// A class without a namespace and an audience.
fn unnamed() -> String {
    CLASSES.rsplit_once("---\n").expect("documents").1.replace(", namespace: shop", "")
}

fn check(dir: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command.arg("check").args(arguments).current_dir(dir.path()).env_clear().output().expect("it runs")
}

#[test]
fn what_the_policy_forbids_is_a_mistake_with_its_place() {
    let dir = files(&[("policy.yaml", POLICY), ("classes.yaml", CLASSES)]);
    let output = check(&dir, &["--policy", "policy.yaml", "classes.yaml"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = text(&output);
    for (line, words) in [
        (7, "parameter \"roleName\": \"admin\" is not among the rule's roles"),
        (8, "parameter \"vaultAddress\": https://vault.evil.net is not among the rule's vaultAddresses"),
        (9, "\"cert\" is not among the rule's authMounts"),
        (10, "the rule wants Vault's certificate verified"),
    ] {
        let place = format!("classes.yaml:{line}:5: error: shop/wrong: policy line 2: ");
        let found = text.lines().any(|line| line.starts_with(&place) && line.contains(words));
        assert!(found, "no {place}…{words} in\n{text}");
    }
    assert!(text.ends_with("2 classes: 4 mistakes, 0 warnings\n"), "{text}");
}

#[test]
fn json_names_the_parameter_as_the_class_spells_it() {
    let dir = files(&[("policy.yaml", POLICY), ("classes.yaml", CLASSES)]);
    let output = check(&dir, &["--policy=policy.yaml", "classes.yaml", "-ojson"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("a list");
    let found: Vec<_> = findings.iter().map(|finding| (&finding["parameter"], &finding["line"])).collect();
    for expected in
        [("baoAddress", 8), ("vaultKubernetesMountPath", 9), ("roleName", 7), ("vaultSkipTLSVerify", 10)]
    {
        assert!(found.contains(&(&json!(expected.0), &json!(expected.1))), "{expected:?}: {found:?}");
    }
}

#[test]
fn the_namespace_is_the_manifests_or_the_given_one() {
    let dir = files(&[("policy.yaml", POLICY), ("class.yaml", &unnamed())]);
    let policy = ["--policy", "policy.yaml", "class.yaml"];
    let said = text(&check(&dir, &policy));
    assert!(said.contains("policy line 7: parameter \"audience\": a class without an audience"), "{said}");
    assert_eq!(check(&dir, &[&policy[..], &["-n", "shop"]].concat()).status.code(), Some(0));
    let said = text(&check(&dir, &[&policy[..], &["-n", "other"]].concat()));
    assert!(
        said.contains("class.yaml:3:18: error: right: policy: no rule is for namespace \"other\""),
        "{said}"
    );
}

#[test]
fn a_policy_that_is_none_has_its_own_exit_code() {
    let dir = files(&[("class.yaml", &unnamed()), ("policy.yaml", "rules:\n  - role: [a]\n")]);
    for (policy, words) in [
        ("policy.yaml", "the policy policy.yaml is wrong: line 2, column 5: unknown field"),
        ("none.yaml", "the policy none.yaml cannot be read"),
    ] {
        let output = check(&dir, &["--policy", policy, "class.yaml"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_socket_is_warned_of() {
    let class =
        unnamed().replace("roleName: shop-web", "roleName: r\n    vaultAddress: unix:///run/agent.sock");
    let dir = files(&[("class.yaml", &class)]);
    let output = check(&dir, &["class.yaml"]);
    assert_eq!(output.status.code(), Some(0));
    let text = text(&output);
    assert!(text.starts_with("class.yaml:8:5: warning: right: parameter \"vaultAddress\": "), "{text}");
}

#[test]
fn a_terminal_gets_no_commands_from_a_manifest() {
    const EVIL: &str = "\\e[2J\\x9b31m\\u202e\\u200b\\r\\n";
    let class = |from: &str| unnamed().replace(from, &format!("{from}{EVIL}"));
    let quoted = |name: &str| unnamed().replace(name, &format!("\"{name}{EVIL}\""));
    let object = unnamed().replace("secretPath: secret/data/db", "secretPath: \"x/../\u{9b}\u{202e}\"");
    let provider = unnamed().replace("provider: vault", &format!("provider: \"x{EVIL}\""));
    let address = unnamed()
        .replace("roleName: shop-web", &format!("roleName: r\n    vaultAddress: \"https://v{EVIL}\""));
    let unknown = unnamed().replace("roleName: shop-web", &format!("roleName: r\n    \"extra{EVIL}\": x"));
    let broken = format!("a: [\u{9b}\u{202e}\n{}", class("right"));
    let dir = files(&[
        ("name.yaml", &quoted("right")),
        ("object.yaml", &object),
        ("provider.yaml", &provider),
        ("address.yaml", &address),
        ("unknown.yaml", &unknown),
        ("broken.yaml", &broken),
        ("\u{1b}[31m.yaml", "kind: ["),
    ]);
    for arguments in [&["."][..], &[".", "-ojson"], &["no\u{9b}ne.yaml"]] {
        let output = check(&dir, arguments);
        for stream in [&output.stdout, &output.stderr] {
            let shown = String::from_utf8(stream.clone()).expect("text");
            let evil = |c: char| c != '\n' && (c.is_control() || ('\u{200b}'..='\u{202e}').contains(&c));
            assert!(!shown.contains(evil), "{arguments:?}: {shown:?}");
        }
        assert_ne!(output.status.code(), Some(0), "{arguments:?}");
    }
}
