//! `coffer check` on the fields that say what is made of an answer: each conflict with its line and
//! column, as text and as JSON.

mod common;

use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{files, text};

const HEAD: &str = "\
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata:
  name: shop
spec:
  provider: vault
  parameters:
    roleName: shop
    objects: |
";

/// The fields of an object, the field at which the mistake is found, and words of the message.
const CONFLICTS: [(&str, &str, &str); 36] = [
    (
        "format: toml",
        "format",
        "\"toml\" is none of response, json, yaml, dotenv, shell, properties, pem and files",
    ),
    ("format: JSON", "format", "\"JSON\" is none of response"),
    ("format: [json]", "format", "is a list, where a text is expected"),
    ("secretKey: k\nformat: response", "format", "leave out secretKey, or use format: json"),
    ("format: response\njsonPointer: /k", "format", "leave out jsonPointer"),
    ("format: response\ninclude: [a]", "include", "goes with formats that take several keys"),
    ("include: [a]", "include", "goes with formats that take several keys"),
    ("exclude: [a]", "exclude", "goes with formats that take several keys"),
    ("secretKey: k\ninclude: [a]", "include", "not with one value"),
    ("jsonPointer: /k\nexclude: [a]", "exclude", "not with one value"),
    ("secretKey: k\nformat: pem\nexclude: [a]", "exclude", "not with pem"),
    ("format: json\ninclude: a", "include", "is a text, where a list of patterns is expected"),
    ("format: json\ninclude: {a: b}", "include", "is a map, where a list of patterns is expected"),
    ("format: json\ninclude: [[a]]", "include", "holds a list, where a text is expected"),
    ("format: json\nexclude: ['[a']", "exclude", "has a [ without its ]"),
    ("format: pem", "format", "pem needs a secretKey"),
    ("format: pem\nsecretKey: []", "secretKey", "is an empty list"),
    ("format: pem\nsecretKey: [a, b, a]", "secretKey", "names a key twice"),
    ("format: pem\nsecretKey: [a, '']", "secretKey", "has an empty key"),
    ("format: pem\nsecretKey: [a]\njsonPointer: /x", "jsonPointer", "goes with one secretKey"),
    ("secretKey: [a]", "secretKey", "is a list, which goes with format: pem only"),
    ("format: dotenv\nsecretKey: [a, b]", "secretKey", "is a list, which goes with format: pem only"),
    ("format: files\nsecretKey: [a]", "secretKey", "is a list, which goes with format: pem only"),
    (
        "format: yaml\nencoding: base64",
        "encoding",
        "goes with one value or with format: files, not with format: yaml",
    ),
    ("format: dotenv\nencoding: utf-8", "encoding", "not with format: dotenv"),
    ("format: pem\nsecretKey: a\nencoding: hex", "encoding", "not with format: pem"),
    ("format: response\nencoding: base64", "encoding", "needs a secretKey"),
    ("encoding: base64", "encoding", "needs a secretKey"),
    ("format: files\nencoding: rot13", "encoding", "is none of utf-8, base64 and hex"),
    ("jsonPointer: a/b", "jsonPointer", "does not begin with \"/\""),
    ("jsonPointer: /a~2b", "jsonPointer", "has a \"~\" that is neither"),
    ("jsonPointer: /a~", "jsonPointer", "has a \"~\" that is neither"),
    ("format: files\ninclude: ['a/b']", "include", "has the key \"a/b\", which is no file name"),
    ("optional: maybe", "optional", "\"maybe\" is neither true nor false"),
    ("method: POST\noptional: true", "optional", "goes with GET and LIST only"),
    ("optional: true\nmethod: put", "optional", "goes with GET and LIST only"),
];

/// Returns a manifest with one object of these fields, behind another one.
fn manifest(fields: &str) -> String {
    let fields: String = fields.lines().map(|line| format!("        {line}\n")).collect();
    format!(
        "{HEAD}      - objectName: first\n        secretPath: secret/data/first\n      \
         - objectName: second\n        secretPath: secret/data/second\n{fields}"
    )
}

fn check(dir: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    command.env_clear().current_dir(dir.path()).args(["check", "class.yaml"]).args(arguments);
    command.output().expect("the command runs")
}

fn findings(manifest: &str) -> (Option<i32>, Vec<Value>) {
    let output = check(&files(&[("class.yaml", manifest)]), &["-ojson"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code(), report["findings"].as_array().expect("findings").clone())
}

#[test]
fn every_conflict_has_its_line_and_column() {
    for (fields, field, words) in CONFLICTS {
        let manifest = manifest(fields);
        let prefix = format!("        {field}:");
        let line = manifest.lines().position(|line| line.starts_with(&prefix)).expect(fields) + 1;
        let (code, found) = findings(&manifest);
        assert_eq!((code, found.len()), (Some(1), 1), "{fields:?}: {found:#?}");
        let finding = &found[0];
        assert_eq!(finding["severity"], "error", "{fields:?}");
        assert_eq!(
            (&finding["line"], &finding["column"]),
            (&line.into(), &9.into()),
            "{fields:?}: {finding}"
        );
        assert_eq!((&finding["object"], &finding["parameter"]), (&"second".into(), &"objects".into()));
        let message = finding["message"].as_str().expect("a message");
        assert!(message.starts_with(field) && message.contains(words), "{fields:?}: {message}");

        let output = check(&files(&[("class.yaml", &manifest)]), &[]);
        let begin = format!("class.yaml:{line}:9: error: shop: object \"second\": {field} ");
        let shown = text(&output);
        assert!(shown.starts_with(&begin) && shown.contains(words), "{fields:?}: {shown}");
    }
}

#[test]
fn what_goes_together_is_no_mistake() {
    for fields in [
        "format: response",
        "format: json\nsecretKey: k\njsonPointer: /a/0\ninclude: [a, 'b*']\nexclude: ['_*']",
        "format: yaml",
        "format: dotenv\nexclude: []",
        "format: shell\ninclude: ['[A-Z]*']",
        "format: properties\noptional: true",
        "format: pem\nsecretKey: [certificate, ca_chain]",
        "format: pem\njsonPointer: /tls/crt",
        "format: files\nencoding: base64\nfilePermission: 0400\noptional: false",
        "jsonPointer: ''",
        "jsonPointer: /a\nencoding: hex",
        "method: LIST\nformat: json\noptional: \"true\"",
        "method: POST\nformat: pem\nsecretKey: [certificate, private_key]\nsecretArgs: {common_name: a}",
        "method: PUT\nformat: files\nsecretArgs: {a: b}",
    ] {
        assert_eq!(findings(&manifest(fields)), (Some(0), Vec::new()), "{fields:?}");
    }
}

#[test]
fn files_that_collide_are_found_where_the_second_begins() {
    let class = |first: &str, second: &str| {
        let object = |fields: &str| fields.replace('|', "\n        ");
        format!(
            "{HEAD}      - objectName: {}\n        secretPath: p\n      - objectName: {}\n        secretPath: q\n",
            object(first),
            object(second)
        )
    };
    for (first, second, words) in [
        ("d", "d|format: files", "one of the two is a directory"),
        ("d|format: files", "d", "one of the two is a directory"),
        ("d/e", "d|secretKey: k", "directory"),
        ("a", ".|format: files|include: [a]", "two objects would be one file"),
        ("d/a", "d|format: files|include: [b, a]", "two objects would be one file"),
        ("d|format: files|include: [a]", "d|format: files|include: [a]", "one file"),
    ] {
        let (code, found) = findings(&class(first, second));
        assert_eq!((code, found.len()), (Some(1), 1), "{first} {second}: {found:#?}");
        let message = found[0]["message"].as_str().expect("a message");
        assert!(message.contains(words), "{first} {second}: {message}");
        assert!(found[0]["line"].as_u64().is_some_and(|line| line >= 10), "{found:#?}");
    }
    for (first, second) in [
        ("d|format: files", "d|format: files"),
        (".|format: files", "d|format: files"),
        ("d/x", "d|format: files"),
        ("a", ".|format: files|include: [a]|exclude: [a]"),
        ("a", ".|format: files|exclude: [a]"),
    ] {
        assert_eq!(findings(&class(first, second)), (Some(0), Vec::new()), "{first} {second}");
    }
}

#[test]
fn a_core_secret_may_take_files_of_keys() {
    let class = |object: &str| {
        format!(
            "{HEAD}      - {{objectName: one, secretPath: p, secretKey: k}}\n      - {{objectName: d, secretPath: p, \
             format: files, exclude: ['_*']}}\n      - {{objectName: e/f, secretPath: p, format: files, include: [a]}}\n  \
             secretObjects:\n    - secretName: s\n      type: Opaque\n      data:\n        - objectName: {object}\n          \
             key: k\n"
        )
    };
    for made in ["one", "d/user", "d/a b", "e/f/a"] {
        assert_eq!(findings(&class(made)), (Some(0), Vec::new()), "{made}");
    }
    for not_made in ["two", "d", "d/_x", "d/user/x", "user", "e/f", "e/f/b", "e/a", "d/..x"] {
        let (code, found) = findings(&class(not_made));
        assert_eq!((code, found.len()), (Some(0), 1), "{not_made}: {found:#?}");
        assert_eq!((&found[0]["severity"], &found[0]["line"]), (&"warning".into(), &17.into()), "{found:#?}");
        assert!(found[0]["message"].as_str().expect("a message").contains("the Secret is not made"));
    }
}
