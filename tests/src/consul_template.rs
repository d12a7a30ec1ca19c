//! What consul-template makes of templates.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use crate::kubernetes::template_cases_program;
use crate::openbao::OpenBao;

/// Renders templates with Go's `text/template` and consul-template's functions.
#[derive(Debug)]
pub struct ConsulTemplate {
    program: Command,
}

/// A template, and how consul-template is to render it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ConsulTemplateText {
    /// The template.
    pub text: String,
    /// The left delimiter; `{{` if empty.
    pub left: String,
    /// The right delimiter; `}}` if empty.
    pub right: String,
    /// Whether a missing key is an error.
    pub error_on_missing_key: bool,
}

/// Why consul-template made no file of a template.
#[derive(Clone, Debug)]
pub struct ConsulTemplateFault {
    /// Its message.
    pub message: String,
}

#[derive(Deserialize)]
struct Rendered {
    output: Option<String>,
    error: String,
}

impl ConsulTemplate {
    /// Renders with the answers in this file: a JSON object from paths to bodies.
    ///
    /// # Panics
    /// If the program is not built.
    pub fn with_answers(file: &Path) -> Self {
        let mut program = Command::new(template_cases_program());
        program.arg(file);
        Self { program }
    }

    /// Renders with what a Vault answers to the root token.
    ///
    /// # Panics
    /// If the program is not built.
    pub fn with_vault(bao: &OpenBao) -> Self {
        let mut program = Command::new(template_cases_program());
        program.env_clear().env("VAULT_ADDR", bao.address()).env("VAULT_TOKEN", OpenBao::ROOT_TOKEN);
        Self { program }
    }

    /// Returns the file of each template, or what is wrong. Blocks until all are rendered.
    ///
    /// # Panics
    /// If the program fails, or leaves a template out.
    pub fn render(mut self, texts: &[ConsulTemplateText]) -> Vec<Result<Vec<u8>, ConsulTemplateFault>> {
        let program = self.program.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = program.spawn().expect("start the program that renders templates");
        let mut input = program.stdin.take().expect("a pipe");
        let line = |text| serde_json::to_string(text).expect("JSON") + "\n";
        let lines: String = texts.iter().map(line).collect();
        let writing = thread::spawn(move || input.write_all(lines.as_bytes()));
        let output = program.wait_with_output().expect("the rendered templates");
        writing.join().expect("a thread").expect("write the templates");
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8(output.stdout).expect("text");
        let files: Vec<_> = lines.lines().map(rendered).collect();
        assert_eq!(files.len(), texts.len(), "every template is rendered");
        files
    }
}

fn rendered(line: &str) -> Result<Vec<u8>, ConsulTemplateFault> {
    let Rendered { output, error } = serde_json::from_str(line).expect("JSON");
    if error.is_empty() {
        Ok(BASE64.decode(output.unwrap_or_default().as_bytes()).expect("base64"))
    } else {
        Err(ConsulTemplateFault { message: error })
    }
}
