//! Checks every block of code in README.md, CONTRIBUTING.md and docs/. `commands.rs` runs those
//! that can be run.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use coffer_tests::{
    COMMAND_BLOCKS, CodeBlock, CommandWords, MarkdownDocument, Suite, block_test, coffer_binary, workspace,
};
use serde_json::Value;

use crate::programs::Programs;

pub(crate) fn tests(suite: Suite<()>) -> Suite<()> {
    suite
        .function("every_block_has_a_known_language", every_block_has_a_known_language)
        .function(
            "yaml_is_a_class_without_mistakes_or_an_object_of_kubernetes",
            yaml_is_a_class_without_mistakes_or_an_object_of_kubernetes,
        )
        .function("every_block_of_commands_is_in_the_table", every_block_of_commands_is_in_the_table)
        .function("every_command_exists", every_command_exists)
        .function("links_lead_somewhere", links_lead_somewhere)
}

/// Languages of blocks that are not checked: text, diagrams, queries.
const OTHERS: [&str; 5] = ["", "json", "mermaid", "promql", "text"];

fn blocks(language: &str) -> Vec<CodeBlock> {
    let all = MarkdownDocument::all().iter().flat_map(MarkdownDocument::blocks).collect::<Vec<_>>();
    all.into_iter().filter(|block| block.language == language).collect()
}

/// Fails with all mistakes at once.
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn every_block_has_a_known_language() {
    let all = MarkdownDocument::all();
    let wrong: Vec<String> = all
        .iter()
        .flat_map(MarkdownDocument::blocks)
        .filter(|block| !["sh", "yaml"].contains(&block.language.as_str()))
        .filter(|block| !OTHERS.contains(&block.language.as_str()))
        .map(|block| format!("{}: {:?}: use sh, yaml or one of {OTHERS:?}", block.place(), block.language))
        .collect();
    assert_none(&wrong);
}

fn yaml_is_a_class_without_mistakes_or_an_object_of_kubernetes() {
    let blocks = blocks("yaml");
    assert!(blocks.len() >= 4, "{blocks:?}");
    let wrong: Vec<String> = blocks
        .iter()
        .filter_map(|block| yaml_mistake(&block.text).map(|mistake| format!("{}: {mistake}", block.place())))
        .collect();
    assert_none(&wrong);
    assert!(yaml_mistake("a: [").is_some() && yaml_mistake("apiVersion: v1\nkind: Pod\n").is_some());
    assert!(yaml_mistake("rules: [{namespaces: [a], role: [b]}]").is_some());
}

fn yaml_mistake(text: &str) -> Option<String> {
    let documents: Vec<Value> = match serde_saphyr::from_multiple(text) {
        Ok(documents) => documents,
        Err(error) => return Some(format!("not YAML: {error}")),
    };
    for document in documents {
        let is = |field: &str| document[field].is_string();
        match (is("apiVersion"), is("kind")) {
            // a part of an object, which the text around it completes
            (false, false) if document.is_object() || document.is_array() => {}
            (true, true) if document["metadata"]["name"].is_string() => {}
            (true, true) => return Some("metadata.name is missing".to_owned()),
            _ => return Some("an object has apiVersion and kind, a part of one has neither".to_owned()),
        }
        if document["rules"][0]["namespaces"].is_array()
            && let Some(mistake) = policy_mistake(text)
        {
            return Some(mistake);
        }
        if document["kind"] == "SecretProviderClass" {
            let (success, output) = check(text);
            if !success {
                return Some(output);
            }
        }
    }
    None
}

/// Checks a class by a policy, and returns what is wrong with the policy.
fn policy_mistake(text: &str) -> Option<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let example = workspace().join("examples/secretproviderclass.yaml");
    let mut command = Command::new(coffer_binary("coffer"));
    let output = command.arg("check").arg(example).arg("--policy").arg(file.path()).output().unwrap();
    // 2: the policy cannot be used; 1: it forbids what the example names
    (output.status.code() == Some(2)).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Runs `coffer check --strict` on a manifest, and returns whether it succeeded, and its output.
fn check(text: &str) -> (bool, String) {
    let mut command = Command::new(coffer_binary("coffer"));
    let command = command.args(["check", "-", "--strict"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

fn every_block_of_commands_is_in_the_table() {
    let blocks = blocks("sh");
    let missing: Vec<String> = blocks
        .iter()
        .filter(|block| block_test(&block.document, &block.text).is_none())
        .map(|block| {
            format!(
                "{}: {:?}: add a line to COMMAND_BLOCKS in tests/src/command_blocks.rs: Run, if documents/commands.rs can \
                 run it, else ParseOnly(why not)",
                block.place(),
                block.text.lines().next().unwrap_or_default()
            )
        })
        .collect();
    assert_none(&missing);
    let gone: Vec<String> = COMMAND_BLOCKS
        .iter()
        .filter(|(document, begins, _)| {
            !blocks.iter().any(|block| block.document == *document && block.text.starts_with(begins))
        })
        .map(|(document, begins, _)| {
            format!("{document} has no block {begins:?} any more: take it from COMMAND_BLOCKS")
        })
        .collect();
    assert_none(&gone);
}

fn every_command_exists() {
    let mut programs = Programs::default();
    let mut wrong = Vec::new();
    for block in blocks("sh") {
        for words in block.commands() {
            wrong.extend(
                programs.mistake(&words).map(|mistake| format!("{}: {words:?}: {mistake}", block.place())),
            );
        }
    }
    assert_none(&wrong);
    for wrong in [
        &["kubectl", "gett", "pods"][..],
        &["kubectl", "get", "pods", "--nothing=1"],
        &["kubectl", "coffer", "check", "--nothing"],
        &["coffer", "check", "--nothing"],
        &["coffer", "nothing"],
        &["coffer-csi", "-nothing"],
        &["cargo", "xtask", "nothing"],
        &["bao", "nothing"],
        &["nothing"],
        &["examples/nothing.sh"],
    ] {
        let words: CommandWords = wrong.iter().map(|word| (*word).to_owned()).collect();
        assert!(programs.mistake(&words).is_some(), "{wrong:?} is let through");
    }
}

fn links_lead_somewhere() {
    let documents = MarkdownDocument::all();
    let mut wrong = Vec::new();
    for document in &documents {
        for link in document.links() {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = Path::new(&document.path).parent().unwrap();
            let target = if path.is_empty() {
                workspace().join(&document.path)
            } else {
                workspace().join(folder).join(path)
            };
            let Ok(target) = target.canonicalize() else {
                wrong.push(format!("{}: {link}: there is no such file", document.path));
                continue;
            };
            if anchor.is_empty() {
                continue;
            }
            let target =
                target.strip_prefix(workspace().canonicalize().unwrap()).unwrap().display().to_string();
            let text = MarkdownDocument { text: MarkdownDocument::read(&target), path: target };
            if !text.anchors().iter().any(|known| known == anchor) {
                wrong.push(format!("{}: {link}: {} has no such heading", document.path, text.path));
            }
        }
    }
    assert_none(&wrong);
}
