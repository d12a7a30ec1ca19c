//! Compares the documents with the programs: flags, metrics, messages and the example.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use coffer_tests::{Csi, MarkdownDocument, OpenBaoSetup, Suite, TestPod, coffer_binary, workspace};
use serde_json::json;

pub(crate) fn tests(suite: Suite<()>) -> Suite<()> {
    suite
        .function(
            "the_readme_shows_the_example_that_the_tests_apply",
            the_readme_shows_the_example_that_the_tests_apply,
        )
        .function("the_reference_lists_every_flag_and_no_other", the_reference_lists_every_flag_and_no_other)
        .test("the_documents_list_the_served_metrics", |_| the_documents_list_the_served_metrics())
        .function(
            "every_message_in_troubleshooting_is_in_the_code",
            every_message_in_troubleshooting_is_in_the_code,
        )
        .test("the_most_common_errors_are_explained", |_| the_most_common_errors_are_explained())
}

fn the_readme_shows_the_example_that_the_tests_apply() {
    let example = MarkdownDocument::read("examples/secretproviderclass.yaml");
    let class: Vec<&str> = example.lines().filter(|line| !line.starts_with('#')).collect();
    let readme = MarkdownDocument::read("README.md");
    assert!(readme.contains(&class.join("\n")), "README.md and examples/secretproviderclass.yaml differ");
}

fn the_reference_lists_every_flag_and_no_other() {
    let reference = MarkdownDocument::read("docs/reference.md");
    let flags = flags_of("coffer-csi", &["-help"]);
    let one_dash: Vec<String> = flags.iter().map(|flag| flag[1..].to_owned()).collect();
    assert!(one_dash.len() > 15, "{one_dash:?}");
    assert_eq!(listed(&reference, "## Flags"), one_dash);
    let flags = flags_of("coffer-api-server", &["--help"]);
    assert!(flags.len() > 15, "{flags:?}");
    assert_eq!(listed(&reference, "### Its flags"), flags);
    for command in ["check", "convert", "doctor", "mount", "status"] {
        let flags = flags_of("coffer", &[command, "--help"]);
        assert!(flags.contains(&"--output".to_owned()), "{flags:?}");
        assert_eq!(listed(&reference, &format!("### `coffer {command}`\n")), flags, "coffer {command}");
    }
}

/// Returns the long flags in a program's help, without `--help`, sorted.
fn flags_of(program: &str, arguments: &[&str]) -> Vec<String> {
    let help = Command::new(coffer_binary(program)).args(arguments).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let long = |line: &str| {
        let line = line.trim_start();
        // `-n, --namespace`
        let flag = if line.starts_with("--") { line } else { line.strip_prefix('-')?.split_once(", ")?.1 };
        flag.strip_prefix("--")?.split([' ', '[', '=']).next().map(|name| format!("--{name}"))
    };
    let mut flags: Vec<String> = help.lines().filter_map(long).filter(|flag| flag != "--help").collect();
    flags.sort();
    flags
}

/// Returns the long flags in the first column of a section's table, sorted.
fn listed(reference: &str, heading: &str) -> Vec<String> {
    let (_, section) = reference.split_once(heading).unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("\n#").next().unwrap();
    let names = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let mut listed: Vec<String> = names
        .flat_map(|names| names.split('`').filter(|name| name.starts_with('-')))
        .filter(|name| name.len() > 3 && !name.starts_with("---"))
        .map(str::to_owned)
        .collect();
    listed.sort();
    listed
}

async fn the_documents_list_the_served_metrics() {
    let state = tempfile::tempdir_in("/dev/shm").unwrap();
    let options = Csi::options().env("NODE_NAME", "node");
    let setup =
        OpenBaoSetup::start_with(options.flag(format!("-state-dir={}", state.path().display()))).await;
    setup.bao.kv_put("app", json!({ "k": "v" })).await;
    setup.mount("- {objectName: f, secretPath: secret/data/app, secretKey: k}").await.unwrap();
    let served = setup.csi.metrics().await.0;
    let mut served: Vec<String> = served
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.rsplit_once(' '))
        .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
        .collect();
    served.sort();

    let names = |text: &str| {
        let names = text
            .split(|c: char| !(c.is_ascii_lowercase() || c == '_'))
            .filter(|word| word.starts_with("coffer_"));
        names.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let reference = MarkdownDocument::read("docs/reference.md");
    let (_, section) = reference.split_once("## Health and metrics").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let listed: Vec<String> = names(section).into_iter().collect();
    assert_eq!(listed, served);
    for document in MarkdownDocument::all() {
        for name in names(&document.text) {
            // coffer-api-server has its own metrics
            let metric = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
            let known = served.contains(&name)
                || metric.is_some_and(|metric| served.iter().any(|served| served == metric))
                || name.starts_with("coffer_api_");
            assert!(known, "{}: {name} is not served", document.path);
        }
    }
}

/// Returns the messages in docs/troubleshooting.md, with `…` for variable parts.
fn messages() -> Vec<String> {
    let text = MarkdownDocument::read("docs/troubleshooting.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let messages: Vec<String> = rows.map(|(message, _)| message.to_owned()).collect();
    assert!(messages.len() > 40, "{messages:?}");
    for (n, message) in messages.iter().enumerate() {
        assert!(!messages[..n].contains(message), "docs/troubleshooting.md has {message:?} twice");
    }
    messages
}

/// Returns whether the parts of a pattern between `…` occur in the text, in order.
fn fits(pattern: &str, text: &str) -> bool {
    let mut rest = text;
    pattern.split('…').filter(|part| !part.is_empty()).all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

fn every_message_in_troubleshooting_is_in_the_code() {
    let mut literals = Vec::new();
    for entry in std::fs::read_dir(workspace()).unwrap() {
        let entry = entry.unwrap();
        let is_shipped = entry.file_name() != "tests" && entry.file_name() != "xtask";
        let source = entry.path().join("src");
        if is_shipped && source.is_dir() {
            read_literals(&source, &mut literals);
        }
    }
    assert!(literals.len() > 500);
    let gone: Vec<String> =
        messages().into_iter().filter(|message| !literals.iter().any(|l| fits(message, l))).collect();
    assert!(gone.is_empty(), "not in the code any more:\n{}", gone.join("\n"));
}

/// Collects the string literals of Rust files, with escapes and line continuations resolved.
fn read_literals(folder: &Path, literals: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_literals(&path, literals);
        } else if path.extension().is_some_and(|end| end == "rs") && path.file_name().unwrap() != "tests.rs" {
            let code = std::fs::read_to_string(&path).unwrap();
            let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let mut rest = code;
            while let Some((_, after)) = rest.split_once('"') {
                let mut end = 0;
                let bytes = after.as_bytes();
                while end < bytes.len() && bytes[end] != b'"' {
                    end += if bytes[end] == b'\\' { 2 } else { 1 };
                }
                let literal = after.get(..end).unwrap_or_default();
                let lines: Vec<&str> = literal.split("\\\n").collect();
                let joined: String = lines
                    .iter()
                    .enumerate()
                    .map(|(n, line)| if n == 0 { line } else { line.trim_start() })
                    .collect();
                literals.push(joined.replace("\\\"", "\""));
                rest = after.get(end + 1..).unwrap_or_default();
            }
        }
    }
}

async fn the_most_common_errors_are_explained() {
    let setup = OpenBaoSetup::start().await;
    setup.bao.kv_put("app", json!({ "k": "v" })).await;
    setup.bao.kv_put("gone", json!({ "k": "v" })).await;
    setup.bao.kv_put("odd", json!({ "a/b": "v", "k": "x\0", "l": [1], "text": "v" })).await;
    setup.bao.kv_delete("gone").await;
    let object = |path: &str, more: &str| format!("- {{objectName: f, secretPath: {path}{more}}}");
    let good = object("secret/data/app", ", secretKey: k");
    let mut said = Vec::new();
    for objects in [
        object("secret/data/none", ""),
        object("secret/data/gone", ""),
        object("sys/mounts", ""),
        object("secret/data/app", ", secretKey: other"),
        object("secret/../app", ""),
        object("secret/data/app", ", filePermission: 644"),
        object("secret/data/app", ", encoding: hex"),
        object("secret/data/app", ", include: [k]"),
        object("secret/data/app", ", format: json, encoding: hex"),
        object("secret/data/app", ", format: response, secretKey: k"),
        object("secret/data/app", ", format: json, secretKey: [k]"),
        object("secret/data/app", ", format: pem"),
        object("secret/data/app", ", format: pem, secretKey: k"),
        object("secret/data/app", ", format: files, exclude: [k]"),
        object("secret/data/app", ", jsonPointer: k"),
        object("secret/data/app", ", jsonPointer: /x"),
        object("secret/data/app", ", optional: true, method: POST"),
        object("secret/data/odd", ", jsonPointer: /text/x"),
        object("secret/data/odd", ", format: files"),
        object("secret/data/odd", ", format: dotenv"),
        object("secret/data/odd", ", format: dotenv, include: [k]"),
        object("secret/data/odd", ", format: dotenv, secretKey: l"),
        format!("{good}\n- {{objectName: ., secretPath: secret/data/app, format: files, include: ['?']}}")
            .replace("objectName: f,", "objectName: k,"),
        format!("{good}\n{good}"),
        "x".to_owned(),
    ] {
        said.push(setup.mount(&objects).await.unwrap_err().message);
    }
    for (name, value) in [
        ("roleName", "nobody"),
        ("roleName", ""),
        ("vaultAddress", "vault"),
        ("vaultAddress", "http://127.0.0.1:1"),
        ("vaultCACertPath", "/proc/self/environ"),
    ] {
        let call = setup.call(&TestPod::new("shop", "web"), &good).param(name, value);
        let address = if name == "vaultCACertPath" {
            call.clone().param("vaultAddress", "https://127.0.0.1:1")
        } else {
            call
        };
        said.push(setup.csi.mount(&address).await.unwrap_err().message);
    }
    setup.bao.seal().await;
    said.push(setup.mount(&good).await.unwrap_err().message);
    let messages = messages();
    for message in &said {
        assert!(
            messages.iter().any(|known| fits(known, message)),
            "docs/troubleshooting.md does not explain {message:?}"
        );
    }
    let explained = messages.iter().filter(|known| said.iter().any(|message| fits(known, message))).count();
    assert!(explained >= 29, "{explained} of {said:#?}");
}
