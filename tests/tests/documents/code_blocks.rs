//! Checks every block of code in README.md, CONTRIBUTING.md and docs/. `commands.rs` runs those
//! that can be run.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use coffer_tests::kubernetes::kubectl_program;
use coffer_tests::{
    COMMAND_BLOCKS, CodeBlock, CommandWords, MarkdownDocument, Suite, block_test, coffer_binary, find_bao,
    workspace,
};
use serde_json::Value;

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

/// Programs that every system has.
const USUAL: [&str; 6] = ["base64", "cat", "cd", "diff", "ln", "rm"];

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
        if document["kind"] == "SecretProviderClass" {
            let (success, output) = check(text);
            if !success {
                return Some(output);
            }
        }
    }
    None
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

/// The help texts of the programs that the documents use.
#[derive(Default)]
struct Programs {
    help: BTreeMap<(PathBuf, Vec<String>), Option<String>>,
}

impl Programs {
    fn mistake(&mut self, words: &CommandWords) -> Option<String> {
        let assigned = words
            .iter()
            .take_while(|word| word.split('=').next().is_some_and(is_variable) && word.contains('='));
        let words = &words[assigned.count()..];
        let (program, arguments) = words.split_first()?;
        match program.as_str() {
            "kubectl" if arguments.first().is_some_and(|word| word == "coffer") => {
                self.check(coffer_binary("coffer"), &arguments[1..], 1, "--help", &[])
            }
            "kubectl" => self.check(kubectl_program(), arguments, depth(arguments), "--help", &["options"]),
            "helm" => {
                let helm = workspace().join("target/servers/helm-4/helm");
                // without a built Helm there is nothing to check with
                if !helm.is_file() {
                    return None;
                }
                self.check(helm.clone(), arguments, 1, "--help", &[])
                    .or_else(|| values_mistake(&helm, arguments))
            }
            // Vault's own command line cannot be redistributed; OpenBao's is a fork of it
            "bao" | "vault" => self.check(
                find_bao(),
                arguments,
                if arguments.len() > 2 { depth_of_bao(arguments) } else { 1 },
                "-h",
                &[],
            ),
            "coffer" => self.check(coffer_binary("coffer"), arguments, 1, "--help", &[]),
            "coffer-csi" | "coffer-api-server" => {
                self.check(coffer_binary(program), arguments, 0, "--help", &[])
            }
            "cargo" => cargo_mistake(arguments),
            usual if USUAL.contains(&usual) => None,
            path if path.contains('/') && workspace().join(path).is_file() => None,
            _ => Some(format!("{program} is no program that a document may use: teach {} about it", file!())),
        }
    }

    /// Asks the program for the help of a subcommand, and looks up its flags there.
    fn check(
        &mut self,
        program: PathBuf,
        arguments: &[String],
        depth: usize,
        question: &str,
        general: &[&str],
    ) -> Option<String> {
        let subcommand: Vec<String> = arguments.iter().take(depth).cloned().collect();
        let asked: Vec<String> = subcommand.iter().cloned().chain([question.to_owned()]).collect();
        let Some(mut help) = self.ask(&program, asked) else {
            return Some(format!("{subcommand:?} is no command of {}", program.display()));
        };
        // without arguments a program might start its work, and not end
        if !general.is_empty() {
            let general = general.iter().map(|word| (*word).to_owned()).collect();
            help += &self.ask(&program, general).unwrap_or_default();
        }
        let known: Vec<&str> = help
            .split(|c: char| !(c.is_alphanumeric() || c == '-'))
            .filter(|word| word.starts_with('-'))
            .map(|word| word.trim_start_matches('-'))
            .collect();
        let flags = arguments.iter().filter(|word| word.len() > 1 && word.starts_with('-'));
        let mut names = flags.filter_map(|flag| flag.trim_start_matches('-').split('=').next());
        names.find(|name| !known.contains(name)).map(|name| format!("there is no flag {name:?}"))
    }

    fn ask(&mut self, program: &Path, arguments: Vec<String>) -> Option<String> {
        let key = (program.to_owned(), arguments);
        let (_, arguments) = &key;
        if !self.help.contains_key(&key) {
            let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            self.help.insert(key.clone(), output.status.success().then_some(text));
        }
        self.help[&key].clone()
    }
}

/// Returns what the chart's schema reports for the values of a `helm install` or `helm upgrade`.
fn values_mistake(helm: &Path, arguments: &[String]) -> Option<String> {
    let chart = "charts/coffer";
    let installs = matches!(arguments.first().map(String::as_str), Some("install" | "upgrade"));
    if !installs || !arguments.iter().any(|word| word == chart) || !workspace().join(chart).is_dir() {
        return None;
    }
    let left_out = ["--install", "--create-namespace", "--wait"];
    let rest = arguments[1..].iter().filter(|word| !left_out.contains(&word.as_str()));
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(helm);
    command.env_clear().env("HOME", home.path()).current_dir(workspace());
    let output = command.arg("template").args(rest).arg("--kube-version=1.36.2").output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Returns how many leading words of a kubectl command line name the command.
fn depth(arguments: &[String]) -> usize {
    match arguments.first().map(String::as_str) {
        Some("set" | "rollout" | "config" | "auth") => 2,
        Some("create") if arguments.get(1).is_some_and(|word| word == "secret") => 3,
        Some("create") if !arguments.get(1).is_some_and(|word| word.starts_with('-')) => 2,
        _ => 1,
    }
}

fn depth_of_bao(arguments: &[String]) -> usize {
    match arguments[0].as_str() {
        "auth" | "audit" | "policy" | "secrets" | "token" | "kv" => 2,
        _ => 1,
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

fn cargo_mistake(arguments: &[String]) -> Option<String> {
    let known = ["build", "check", "clippy", "deny", "fmt", "install", "run", "test"];
    match arguments.first().map(String::as_str) {
        Some("xtask") => {
            let task = arguments.get(1)?;
            let tasks = MarkdownDocument::read("xtask/src/main.rs");
            (!tasks.contains(&format!("Some({task:?})"))).then(|| format!("there is no task {task}"))
        }
        Some(command) if known.contains(&command) => None,
        other => Some(format!("{other:?} is no command of cargo's")),
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
