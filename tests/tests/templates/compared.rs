//! Renders the same templates by both, and compares.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use coffer_template::{Delimiters, RenderOptions, Template};
use coffer_tests::kubernetes::template_cases_program;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::json;

use crate::answers::Answers;

/// A template and how it is rendered.
#[derive(Debug, Clone)]
pub(crate) struct TemplateText {
    pub(crate) text: String,
    pub(crate) error_on_missing_key: bool,
    /// The delimiters; empty ones are the default.
    pub(crate) delimiters: (&'static str, &'static str),
}

/// What came of a template: the file, or what is wrong.
pub(crate) type FileOrFault = Result<Vec<u8>, String>;

/// A template with what both made of it.
pub(crate) struct ComparedText {
    pub(crate) template: TemplateText,
    pub(crate) own: FileOrFault,
    pub(crate) go: FileOrFault,
}

#[derive(Deserialize)]
struct GoOutput {
    output: Option<String>,
    error: String,
}

impl ComparedText {
    /// Returns whether Coffer made a file that Go did not make.
    pub(crate) fn is_wrong(&self) -> bool {
        self.own.is_ok() && self.own.as_ref().ok() != self.go.as_ref().ok()
    }

    /// Returns Coffer's fault, if Go had none.
    pub(crate) fn own_fault(&self) -> Option<&str> {
        self.own.as_ref().err().filter(|_| self.go.is_ok()).map(String::as_str)
    }

    pub(crate) fn description(&self) -> String {
        let shown = |made: &FileOrFault| match made {
            Ok(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
            Err(fault) => format!("refused: {fault}"),
        };
        let strict = if self.template.error_on_missing_key { "" } else { " (missing keys allowed)" };
        let mut text = String::new();
        let _ = writeln!(text, "{}{strict}\n  Coffer: {}", self.template.text, shown(&self.own));
        let _ = write!(text, "  Go:     {}", shown(&self.go));
        text
    }
}

/// Renders templates by both.
pub(crate) fn compare(texts: Vec<TemplateText>) -> Vec<ComparedText> {
    let answers = Answers::new();
    let go = by_go(&texts, &answers);
    assert_eq!(go.len(), texts.len(), "Go renders every template");
    let pairs = texts.into_iter().zip(go);
    pairs.map(|(template, go)| ComparedText { own: by_coffer(&template, &answers), template, go }).collect()
}

/// Renders a template by Coffer, in small slices.
pub(crate) fn by_coffer(text: &TemplateText, answers: &Answers) -> FileOrFault {
    let (left, right) = text.delimiters;
    let delimiters = Delimiters::new(left, right).map_err(|bad| bad.to_string())?;
    let template = Template::parse(&text.text, &delimiters).map_err(|fault| fault.to_string())?;
    let answers = answers.of(&template).ok_or("no answer")?;
    let options =
        RenderOptions { error_on_missing_key: text.error_on_missing_key, ..RenderOptions::default() };
    let mut rendering = template.begin(answers, options).map_err(|fault| fault.to_string())?;
    while rendering.run(7).map_err(|fault| fault.to_string())? == coffer_template::Progress::Unfinished {}
    Ok(rendering.into_output().expose().to_vec())
}

fn by_go(texts: &[TemplateText], answers: &Answers) -> Vec<FileOrFault> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(answers.json().as_bytes()).unwrap();
    let mut go = Command::new(template_cases_program());
    let mut go = go.arg(file.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = go.stdin.take().unwrap();
    let line = |text: &TemplateText| {
        let (left, right) = text.delimiters;
        let line = json!({ "text": text.text, "error_on_missing_key": text.error_on_missing_key,
            "left": left, "right": right });
        format!("{line}\n")
    };
    let lines: String = texts.iter().map(line).collect();
    let writing = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = go.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| made(serde_json::from_str(line).unwrap())).collect()
}

fn made(output: GoOutput) -> FileOrFault {
    if output.error.is_empty() {
        Ok(BASE64.decode(output.output.unwrap_or_default().as_bytes()).unwrap())
    } else {
        Err(output.error)
    }
}
