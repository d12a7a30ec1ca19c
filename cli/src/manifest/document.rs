//! The documents of a manifest. Each is parsed by itself, so that a mistake in one document does
//! not hide mistakes in others.

use coffer_provider::class::Position;
use serde_saphyr::{Options, UserMessageFormatter};

use super::fault::ManifestFault;
use super::yaml::YamlNode;

/// One document of a file.
pub(crate) struct YamlDocument<'a> {
    text: &'a str,
    /// Number of lines of the file before the document.
    lines_before: usize,
}

/// Splits a text into its documents. In YAML no line of a document's content may begin with the
/// separator.
pub(crate) fn split(text: &str) -> Vec<YamlDocument<'_>> {
    let mut documents = Vec::new();
    let mut start = 0;
    let mut at = 0;
    let mut lines_before = 0;
    for (line, content) in text.split_inclusive('\n').enumerate() {
        if at > start && is_separator(content) {
            documents.push(YamlDocument { text: &text[start..at], lines_before });
            start = at;
            lines_before = line;
        }
        at += content.len();
    }
    documents.push(YamlDocument { text: &text[start..], lines_before });
    documents
}

fn is_separator(line: &str) -> bool {
    let rest = line.strip_prefix("---");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

impl YamlDocument<'_> {
    /// Parses the document. Returns `None` if the document is empty. Positions are those in the
    /// file.
    pub(crate) fn parse(&self) -> Result<Option<YamlNode>, ManifestFault> {
        let mut text = "\n".repeat(self.lines_before) + self.text;
        if self.text.trim_start().starts_with('{') {
            // YAML allows what JSON does, except tabs, which JSON allows only between values
            text = text.replace('\t', " ");
        }
        serde_saphyr::from_str_with_options(&text, options()).map_err(|error| ManifestFault {
            at: error.location().map(|at| Position { line: at.line(), column: at.column() }),
            message: format!("not YAML: {}{}", reason(&error), advice(self.text)),
        })
    }
}

fn options() -> Options {
    serde_saphyr::options! { with_snippet: false }
}

/// Returns the parser's own message without the position.
fn reason(error: &serde_saphyr::Error) -> String {
    let words = error.render_with_formatter(&UserMessageFormatter);
    let line = words.lines().next().unwrap_or_default();
    line.split_once(" at line ").map_or(line, |(before, _)| before).to_owned()
}

fn advice(text: &str) -> &'static str {
    if text.contains("{{") { ". It looks like a template: check what it renders to" } else { "" }
}
