//! Looks up programs, subcommands and flags in the programs' own help texts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use coffer_tests::kubernetes::kubectl_program;
use coffer_tests::{CommandWords, MarkdownDocument, coffer_binary, find_bao, workspace};

/// Programs that every system has.
const USUAL: [&str; 6] = ["base64", "cat", "cd", "diff", "ln", "rm"];

/// Programs that verify and publish releases, which are not on every machine.
const OF_RELEASES: [&str; 3] = ["cosign", "gh", "oras"];

/// The help texts of the programs that the documents use.
#[derive(Default)]
pub(crate) struct Programs {
    help: BTreeMap<(PathBuf, Vec<String>), Option<String>>,
}

impl Programs {
    /// Returns what is wrong with a command: an unknown program, subcommand, flag or chart value.
    pub(crate) fn mistake(&mut self, words: &CommandWords) -> Option<String> {
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
            usual if USUAL.contains(&usual) || OF_RELEASES.contains(&usual) => None,
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
