//! The documents of a manifest, each parsed by itself so that a mistake in one hides no other.

use coffer_provider::class::Position;
use serde_saphyr::{Options, UserMessageFormatter};

use super::manifest::Fault;
use super::node::Node;

/// One document of a file.
pub(crate) struct Document<'a> {
    text: &'a str,
    /// How many lines of the file are before it.
    lines_before: usize,
}

/// The documents of the text. In YAML no line of content may begin with the mark between them.
pub(crate) fn split(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let mut start = 0;
    let mut at = 0;
    let mut lines_before = 0;
    for (line, content) in text.split_inclusive('\n').enumerate() {
        if at > start && is_mark(content) {
            documents.push(Document { text: &text[start..at], lines_before });
            start = at;
            lines_before = line;
        }
        at += content.len();
    }
    documents.push(Document { text: &text[start..], lines_before });
    documents
}

fn is_mark(line: &str) -> bool {
    let rest = line.strip_prefix("---");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

impl Document<'_> {
    /// The document's value, none where it is empty, or what is wrong and in which line of the file.
    pub(crate) fn parse(&self) -> Result<Option<Node>, Fault> {
        let mut text = "\n".repeat(self.lines_before) + self.text;
        if self.text.trim_start().starts_with('{') {
            // JSON is YAML but for tabs, which it has between values alone
            text = text.replace('\t', " ");
        }
        serde_saphyr::from_str_with_options(&text, options()).map_err(|error| Fault {
            at: error.location().map(|at| Position { line: at.line(), column: at.column() }),
            message: format!("not YAML: {}{}", reason(&error), advice(self.text)),
        })
    }
}

fn options() -> Options {
    serde_saphyr::options! { with_snippet: false }
}

/// The parser's own words, without the place.
fn reason(error: &serde_saphyr::Error) -> String {
    let words = error.render_with_formatter(&UserMessageFormatter);
    let line = words.lines().next().unwrap_or_default();
    line.split_once(" at line ").map_or(line, |(before, _)| before).to_owned()
}

fn advice(text: &str) -> &'static str {
    if text.contains("{{") { ". It looks like a template: check what it renders to" } else { "" }
}
