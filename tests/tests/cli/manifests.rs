//! The encodings and documents of manifests: `coffer check` takes what kubectl takes.

use std::path::Path;

use coffer_tests::kubernetes::kubectl_program;
use coffer_tests::{Suite, coffer_binary};
use serde_json::{Value, json};
use tokio::process::Command;

pub(crate) fn tests(suite: Suite<()>) -> Suite<()> {
    suite.test("what_kubectl_takes_is_taken", |_| what_kubectl_takes_is_taken())
}

/// The byte order mark.
const MARK: &str = "\u{feff}";

/// Files that kubectl takes although some of their bytes are no text: it puts U+FFFD in their place.
const REPLACED_BY_KUBECTL: [&str; 4] =
    ["latin-1", "latin-1 in a comment", "half a character in a comment", "an odd byte in a comment"];

/// Files of which kubectl silently leaves out all but the first object.
const CUT_BY_KUBECTL: [&str; 1] = ["JSON after a separator and JSON"];

fn yaml(name: &str) -> String {
    format!(
        "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\nmetadata:\n  name: {name}\nspec:\n  \
         provider: vault\n  parameters:\n    roleName: \"rölé\"\n    objects: |\n      - objectName: a\n        \
         secretPath: secret/db\n        secretKey: k\n"
    )
}

fn json_class(name: &str) -> Value {
    json!({
        "apiVersion": "secrets-store.csi.x-k8s.io/v1",
        "kind": "SecretProviderClass",
        "metadata": { "name": name },
        "spec": { "provider": "vault", "parameters": { "roleName": "r", "objects": "- {objectName: a, secretPath: p}" } },
    })
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

fn utf32(text: &str, bytes: fn(u32) -> [u8; 4]) -> Vec<u8> {
    text.chars().flat_map(|c| bytes(u32::from(c))).collect()
}

/// Returns manifests, each with what it is.
fn manifests() -> Vec<(&'static str, Vec<u8>)> {
    let (a, b) = (&yaml("a"), &yaml("b"));
    let (first, second) = (&json_class("a").to_string(), &json_class("b").to_string());
    let marked = &format!("{MARK}{a}");
    let crlf = &a.replace('\n', "\r\n");
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [json_class("a"), json_class("b")] });
    let texts = [
        ("UTF-8", a.clone()),
        ("UTF-8 with a mark", marked.clone()),
        ("two marks", format!("{MARK}{marked}")),
        ("CRLF", crlf.clone()),
        ("CR", a.replace('\n', "\r")),
        ("CRLF and separators", format!("---\r\n---\r\n{crlf}---\r\n")),
        ("a mark after a separator", format!("{a}---\n{MARK}{b}")),
        ("marks before both", format!("{marked}---\n{MARK}{b}")),
        ("a mark before a separator", format!("{a}{MARK}---\n{b}")),
        ("a mark before the first separator", format!("{MARK}---\n{a}")),
        ("a mark in a text", a.replace("rölé", "r\u{feff}o")),
        ("a mark alone", MARK.to_owned()),
        ("nothing", String::new()),
        ("empty documents", format!("---\n---\n{a}---\n\n# nothing\n---\n{b}---\n")),
        ("a separator with a comment", format!("{a}--- # the second\n{b}")),
        ("a separator with spaces", format!("{a}---  \n{b}")),
        ("an end of a document", format!("{a}...\n---\n{b}")),
        ("a NUL", a.replace("rölé", "r\0")),
        ("a NUL at the end", format!("{a}\0")),
        ("a bell", a.replace("rölé", "r\u{7}")),
        ("a DEL", a.replace("rölé", "r\u{7f}")),
        ("a C1 control", a.replace("rölé", "r\u{80}")),
        ("a NEL", a.replace("rölé", "r\u{85}")),
        ("a non-character", a.replace("rölé", "r\u{fffe}")),
        ("a tab as indentation", a.replace("  provider", "\tprovider")),
        ("JSON", first.clone()),
        ("JSON with a mark", format!("{MARK}{first}")),
        ("JSON with tabs", serde_json::to_string_pretty(&list).unwrap().replace("  ", "\t")),
        ("JSON after JSON", format!("{first}{second}")),
        ("JSON on the line after JSON", format!("{first}\n{second}\n")),
        ("JSON after a separator and JSON", format!("---\n{first}\n{second}")),
        ("JSON, a separator, JSON", format!("{first}\n---\n{second}")),
        ("JSON, a separator, YAML", format!("{first}\n---\n{b}")),
        ("YAML, a separator, JSON", format!("{a}---\n{second}")),
        ("JSON after a comment", format!("# JSON\n{first}")),
    ];
    let mut manifests: Vec<_> = texts.into_iter().map(|(what, text)| (what, text.into_bytes())).collect();
    let little = |text: &str| utf16(text, u16::to_le_bytes);
    manifests.extend([
        ("UTF-16 LE with a mark", little(marked)),
        ("UTF-16 BE with a mark", utf16(marked, u16::to_be_bytes)),
        ("UTF-16 with CRLF", little(&format!("{MARK}{crlf}"))),
        ("UTF-16 with an emoji", little(&marked.replace("rölé", "\u{1f511}"))),
        ("UTF-16, put together", little(&format!("{marked}---\n{MARK}{b}"))),
        ("a mark of UTF-16 alone", little(MARK)),
        ("JSON in UTF-16", little(&format!("{MARK}{first}\n{second}"))),
        ("UTF-16 LE", little(a)),
        ("UTF-16 BE", utf16(a, u16::to_be_bytes)),
        ("UTF-32 LE with a mark", utf32(marked, u32::to_le_bytes)),
        ("UTF-32 BE with a mark", utf32(marked, u32::to_be_bytes)),
        ("UTF-32 LE", utf32(a, u32::to_le_bytes)),
        ("UTF-32 BE", utf32(a, u32::to_be_bytes)),
        ("half a character in a comment", [little(&format!("{marked}#")), vec![0, 0xd8, b'\n', 0]].concat()),
        ("an odd byte in a comment", [little(&format!("{marked}#")), vec![b'a']].concat()),
        ("latin-1", a.chars().map(|c| u32::from(c) as u8).collect()),
        ("latin-1 in a comment", [a.as_bytes(), b"# \xfc\n"].concat()),
    ]);
    manifests
}

async fn what_kubectl_takes_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let mut differing = Vec::new();
    for (what, bytes) in manifests() {
        let file = dir.path().join("manifest.yaml");
        std::fs::write(&file, bytes).unwrap();
        let (kubectl, coffer) = (names_by_kubectl(&file).await, classes_by_coffer(&file).await);
        let is_known = REPLACED_BY_KUBECTL.contains(&what) || CUT_BY_KUBECTL.contains(&what);
        if is_known {
            assert!(kubectl.is_some() && coffer.is_none(), "{what}: {kubectl:?} {coffer:?}");
        } else if kubectl.as_ref().map(Vec::len) != coffer {
            differing.push(format!("{what}: kubectl {kubectl:?}, coffer {coffer:?}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// Returns the names of the objects that kubectl finds, or `None` if it refuses the file.
async fn names_by_kubectl(file: &Path) -> Option<Vec<String>> {
    let output = Command::new(kubectl_program())
        .env_clear()
        .args(["label", "--local", "--dry-run=client", "a=b", "-o=jsonpath={.metadata.name}{\"\\n\"}", "-f"])
        .arg(file)
        .output()
        .await
        .unwrap();
    let names = String::from_utf8(output.stdout).unwrap();
    output
        .status
        .success()
        .then(|| names.lines().filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// Returns the number of classes that coffer finds, or `None` if it refuses the file.
async fn classes_by_coffer(file: &Path) -> Option<usize> {
    let mut command = Command::new(coffer_binary("coffer"));
    let output = command.env_clear().arg("check").arg(file).arg("-ojson").output().await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let messages =
        report["findings"].as_array().unwrap().iter().map(|finding| finding["message"].as_str().unwrap());
    for message in messages.clone() {
        assert!(!message.contains('\u{fffd}'), "{message}");
    }
    (messages.count() == 0).then(|| report["classes"].as_u64().unwrap() as usize)
}
