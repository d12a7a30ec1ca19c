//! `coffer check` on manifests: the mistakes that users make, and the report for a CI system.

mod common;
#[path = "common/input.rs"]
mod input;

use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{files, text};
use crate::input::run_with_input;

/// Two classes among other things. The first has a mistake of each kind that users make, the second
/// none.
const FILE: &str = "\
# what a shop deploys
apiVersion: v1
kind: ConfigMap
metadata:
  name: other
---
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata:
  name: wrong
  namespace: shop
spec:
  provider: vault
  parameters:
    rolename: shop
    vaultSkipTLSVerify: true
    vaultAddress: vault.shop:8200
    objects: |

      - objectName: user
        secretPath: secret/data/shop/db
        secretKey: user
        filePermission: 644
      - objectName: password
        secretPath: secret/data/shop/db
        secretkey: password
        secretArgs: {pin: hunter2}
      - objectName: user
        secretPath: secret/data/shop/../other
  secretObjects:
    - secretName: synced
      type: Opaque
      data:
        - objectName: pasword
          key: password
---
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata:
  name: right
spec:
  provider: openbao
  parameters:
    roleName: shop
    objects: '[{objectName: user, secretPath: secret/data/shop/db}]'
";

/// What is found in it: severity, line, column, and how the message begins.
const FOUND: [(&str, u64, u64, &str); 9] = [
    ("error", 16, 5, "parameter \"vaultSkipTLSVerify\" is a boolean, where Kubernetes takes a string"),
    ("error", 23, 9, "filePermission is no mode"),
    ("error", 29, 9, "secretPath has an empty, \".\" or \"..\" segment"),
    ("error", 28, 9, "line 2 has the same objectName"),
    ("error", 17, 5, "parameter \"vaultAddress\": \"vault.shop:8200\" is no Vault address"),
    ("error", 10, 9, "parameter \"roleName\" is missing"),
    ("warning", 15, 5, "unknown parameter \"rolename\" is ignored: did you mean \"roleName\"?"),
    ("warning", 26, 9, "unknown field \"secretkey\" is ignored: did you mean \"secretKey\"?"),
    ("warning", 27, 9, "secretArgs are not sent with GET"),
];

fn check(dir: &TempDir, arguments: &[&str], input: &str) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_coffer")).arg("check"), dir, arguments, input)
}

fn run(command: &mut Command, dir: &TempDir, arguments: &[&str], input: &str) -> Output {
    run_with_input(command.args(arguments), dir.path(), input)
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn every_mistake_is_reported_with_its_position() {
    let dir = files(&[("classes.yaml", FILE)]);
    let output = check(&dir, &["classes.yaml"], "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = text(&output);
    for (severity, line, column, message) in FOUND {
        let place = format!("classes.yaml:{line}:{column}: {severity}: shop/wrong: ");
        let found = text.lines().any(|line| line.starts_with(&place) && line.contains(message));
        assert!(found, "no {place}…{message} in\n{text}");
    }
    let synced = "classes.yaml:34:23: warning: shop/wrong: secretObjects take objectName \"pasword\"";
    assert!(text.contains(synced), "{text}");
    assert!(text.ends_with("2 classes: 6 mistakes, 4 warnings\n"), "{text}");
    assert_eq!(text.lines().count(), FOUND.len() + 2, "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn the_json_report_has_the_members_of_the_reference() {
    let dir = files(&[]);
    let output = check(&dir, &["-", "--output", "json"], FILE);
    let report = report(&output);
    assert_eq!(
        (&report["classes"], &report["mistakes"], &report["warnings"]),
        (&json!(2), &json!(6), &json!(4))
    );
    let findings = report["findings"].as_array().expect("a list");
    assert_eq!(findings.len(), FOUND.len() + 1);
    for (finding, (severity, line, column, message)) in findings.iter().zip(FOUND) {
        assert_eq!(finding["severity"], severity, "{finding}");
        assert_eq!((&finding["line"], &finding["column"]), (&json!(line), &json!(column)), "{finding}");
        assert!(finding["message"].as_str().expect("text").starts_with(message), "{finding}");
    }
    let filemode = json!({
        "severity": "error", "file": "standard input", "line": 23, "column": 9, "namespace": "shop", "class": "wrong",
        "parameter": "objects", "object": "user", "message": findings[1]["message"],
    });
    assert_eq!(findings[1], filemode);

    // the reference describes these members and no others
    let reference = include_str!("../../docs/reference.md");
    let (_, section) = reference.split_once("### `coffer check --output json`").expect("the section");
    let section = section.split("\n#").next().expect("the section");
    let mut described: Vec<_> =
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut members: Vec<_> = report.as_object().expect("an object").keys().map(String::as_str).collect();
    members.extend(filemode.as_object().expect("an object").keys().map(String::as_str));
    described.sort_unstable();
    members.sort_unstable();
    assert_eq!(described, members);
}

#[test]
fn without_a_mistake_the_exit_code_is_0() {
    let (_, right) = FILE.rsplit_once("---\n").expect("documents");
    let warned = right.replace("roleName: shop", "roleName: shop\n    extra: x");
    let dir = files(&[("right.yaml", right), ("warned.yaml", &warned)]);
    assert_eq!(text(&check(&dir, &["right.yaml"], "")), "1 class: 0 mistakes, 0 warnings\n");
    for (arguments, code) in [
        (&["right.yaml"][..], 0),
        (&["right.yaml", "--strict"], 0),
        (&["warned.yaml"], 0),
        (&["warned.yaml", "--strict"], 1),
        (&["."], 0),
    ] {
        assert_eq!(check(&dir, arguments, "").status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn what_cannot_be_checked_has_its_own_exit_code() {
    let dir = files(&[("classes.yaml", FILE), ("other.yaml", "kind: ConfigMap\n")]);
    for (arguments, words) in [
        (&["none.yaml", "classes.yaml"][..], "cannot read none.yaml"),
        (&["other.yaml"], "there is no SecretProviderClass"),
        (&["--cluster"], "kubeconfig"),
        (&[], "Usage: coffer check"),
        (&["classes.yaml", "--cluster"], "cannot be used with"),
        (&["classes.yaml", "--live"], "--service-account"),
        (&["classes.yaml", "--vault-addr=http://v"], "--live"),
    ] {
        let output = check(&dir, arguments, "");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
    // the rest was checked all the same
    let report = report(&check(&dir, &["none.yaml", "classes.yaml", "-ojson"], ""));
    assert_eq!((&report["classes"], &report["mistakes"]), (&json!(2), &json!(6)));
    assert!(report["failures"][0].as_str().expect("text").contains("none.yaml"));
}

#[test]
fn a_file_that_is_no_yaml_is_a_mistake_that_hides_no_other() {
    let dir = files(&[("chart.yaml", &format!("a: {{{{ .Values.a }}\n---\n{FILE}"))]);
    let output = check(&dir, &["chart.yaml"], "");
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1));
    let first = text.lines().next().expect("a line");
    assert!(first.starts_with("chart.yaml:1:") && first.contains("error: not YAML: "), "{text}");
    assert!(first.ends_with("It looks like a template: check what it renders to"), "{text}");
    assert!(text.ends_with("2 classes: 7 mistakes, 4 warnings\n"), "{text}");
}

#[test]
fn lists_and_json_are_read_as_kubectl_prints_them() {
    let class = json!({
        "apiVersion": "secrets-store.csi.x-k8s.io/v1", "kind": "SecretProviderClass",
        "metadata": { "name": "listed", "namespace": "shop" },
        "spec": { "provider": "vault", "parameters": { "roleName": "r", "objects": "- {objectName: a, method: DELETE}\n- {objectName: b}\n" } },
    });
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [class] });
    let dir = files(&[]);
    let report = report(&check(&dir, &["-", "-ojson"], &format!("{list:#}").replace("  ", "\t")));
    assert_eq!(report["classes"], 1);
    let found: Vec<_> = report["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|finding| {
            (finding["line"].as_u64().expect("a line"), finding["message"].as_str().expect("text"))
        })
        .collect();
    let line =
        format!("{list:#}").lines().position(|line| line.contains("\"objects\"")).expect("a line") as u64 + 1;
    let expected = [
        (line, "secretPath is missing"),
        (line, "method \"DELETE\" is none of GET, LIST, POST and PUT"),
        (line, "line 2 of objects: secretPath is missing"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_class_of_another_provider_is_skipped_unless_named() {
    let (_, class) = FILE.rsplit_once("---\n").expect("documents");
    let class = class.replace("openbao", "aws").replace("roleName: shop", "roleName: ''");
    let dir = files(&[]);
    let output = check(&dir, &["-"], &class);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output).contains(": note: right: skipped: it is for provider \"aws\""), "{output:?}");
    let output = check(&dir, &["-", "--provider", "aws"], &class);
    assert!(text(&output).contains("parameter \"roleName\" is missing"), "{output:?}");
}

#[test]
fn linked_as_a_plugin_it_shows_itself_as_kubectl_coffer() {
    let dir = files(&[("classes.yaml", FILE)]);
    let plugin = dir.path().join("kubectl-coffer");
    symlink(env!("CARGO_BIN_EXE_coffer"), &plugin).expect("a link");
    let help = text(&run(&mut Command::new(&plugin), &dir, &["check", "--help"], ""));
    assert!(help.contains("Usage: kubectl coffer check [OPTIONS]"), "{help}");
    let output = run(&mut Command::new(&plugin), &dir, &["check", "classes.yaml"], "");
    assert_eq!(output.status.code(), Some(1));
}
