//! `coffer convert` on manifests.

#[path = "../common/input.rs"]
mod input;
mod output;
mod people;
mod report;
mod rules;
mod styles;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::input::run_with_input;

/// Runs `coffer convert` in a directory.
fn run(dir: &Path, arguments: &[&str], input: &str) -> Output {
    run_command("convert", dir, arguments, input)
}

fn run_command(command: &str, dir: &Path, arguments: &[&str], input: &str) -> Output {
    let mut coffer = Command::new(env!("CARGO_BIN_EXE_coffer"));
    run_with_input(coffer.arg(command).args(arguments), dir, input)
}

/// What a conversion of standard input gave.
struct Converted {
    /// The manifests.
    text: String,
    /// The report as text.
    report: String,
    /// The exit code.
    code: i32,
}

/// Converts a text from standard input.
fn convert(input: &str) -> Converted {
    let output = run(Path::new("/"), &["-"], input);
    Converted {
        text: String::from_utf8(output.stdout).expect("text"),
        report: String::from_utf8(output.stderr).expect("text"),
        code: output.status.code().expect("a code"),
    }
}

impl Converted {
    /// Returns the manifests, the classes first.
    fn documents(&self) -> Vec<Value> {
        documents(&self.text)
    }

    /// Returns the text behind the classes.
    fn manifest(&self) -> &str {
        let at = self.text.rfind("# The files of ").expect("a class");
        let class = &self.text[at..];
        let end = class.find("\n---").expect("a document behind it");
        class[end + 1..].trim_start_matches("---").trim_start_matches(['\r', '\n'])
    }
}

/// Parses the documents of a text.
fn documents(text: &str) -> Vec<Value> {
    let documents: Result<Vec<Value>, _> = serde_saphyr::from_multiple(text);
    documents.unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Returns the objects of a class.
fn objects(class: &Value) -> Vec<Value> {
    assert_eq!(class["kind"], "SecretProviderClass", "{class}");
    let text = class["spec"]["parameters"]["objects"].as_str().expect("objects");
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Returns a pod with these lines as annotations.
fn pod(annotations: &[&str]) -> String {
    let lines: String = annotations.iter().map(|line| format!("    vault.hashicorp.com/{line}\n")).collect();
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: shop\n  annotations:\n    \
         vault.hashicorp.com/agent-inject: \"true\"\n    vault.hashicorp.com/role: shop\n{lines}\
         spec:\n  containers:\n    - name: app\n      image: shop\n"
    )
}
