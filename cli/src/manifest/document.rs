//! The documents of a manifest. Each is parsed by itself, so that a mistake in one document does
//! not hide mistakes in others.

use std::borrow::Cow;

use coffer_provider::class::Position;
use coffer_provider::decode_text;
use serde::de::IgnoredAny;
use serde_saphyr::{Options, UserMessageFormatter};

use super::fault::ManifestFault;
use super::yaml::YamlNode;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Decodes a file. Byte order marks before its documents are removed, which a tool leaves there that
/// puts files together.
pub(crate) fn text(bytes: &[u8]) -> Result<String, ManifestFault> {
    let text = decode_text(bytes).map_err(|bad| ManifestFault { at: bad.at(), message: bad.to_string() })?;
    if !text.contains(BYTE_ORDER_MARK) {
        return Ok(text);
    }
    let mut is_first = true;
    let lines = text.split_inclusive('\n').map(|line| {
        let content = if is_first { line.trim_start_matches(BYTE_ORDER_MARK) } else { line };
        is_first = is_separator(content);
        content
    });
    Ok(lines.collect())
}

/// One document of a file.
#[derive(Clone, Copy)]
pub(crate) struct YamlDocument<'a> {
    text: &'a str,
    /// Number of lines of the file before the document.
    lines_before: usize,
    /// Number of characters before the document on its first line.
    columns_before: usize,
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
            documents.push(YamlDocument { text: &text[start..at], lines_before, columns_before: 0 });
            start = at;
            lines_before = line;
        }
        at += content.len();
    }
    documents.push(YamlDocument { text: &text[start..], lines_before, columns_before: 0 });
    let rest = documents.split_off(1);
    documents.into_iter().flat_map(YamlDocument::values).chain(rest).collect()
}

fn is_separator(line: &str) -> bool {
    let rest = line.strip_prefix("---");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

impl<'a> YamlDocument<'a> {
    /// Returns the document's text.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// Returns where a position in the document is in the file.
    pub(crate) fn in_file(&self, at: Position) -> Position {
        let columns = if at.line == 1 { self.columns_before as u64 } else { 0 };
        Position { line: at.line + self.lines_before as u64, column: at.column + columns }
    }

    /// Splits a file of JSON into its values, which need no separator.
    fn values(self) -> Vec<Self> {
        let mut values = vec![self];
        while let Some(Self { text, lines_before, columns_before }) = values.last().copied()
            && let Some(end) = end_of_json(text).filter(|end| text[*end..].trim_start().starts_with('{'))
        {
            let (value, rest) = text.split_at(end);
            let last_line = value.rsplit('\n').next().unwrap_or_default();
            let lines = value.matches('\n').count();
            let before = if lines == 0 { columns_before } else { 0 };
            values.pop();
            values.push(Self { text: value, lines_before, columns_before });
            values.push(Self {
                text: rest,
                lines_before: lines_before + lines,
                columns_before: before + last_line.chars().count(),
            });
        }
        values
    }

    /// Parses the document. Returns `None` if the document is empty. Positions are those in the
    /// file.
    pub(crate) fn parse(&self) -> Result<Option<YamlNode>, ManifestFault> {
        let mut text = Cow::Borrowed(self.text);
        if self.text.trim_start().starts_with('{') {
            // YAML allows what JSON does, except tabs, which JSON allows only between values
            text = text.replace('\t', " ").into();
        }
        let node = serde_saphyr::from_str_with_options::<Option<YamlNode>>(&text, options());
        match node {
            Ok(node) => Ok(node.map(|mut node| {
                node.move_positions(&|at| self.in_file(at));
                node
            })),
            Err(error) => Err(ManifestFault {
                at: error
                    .location()
                    .map(|at| self.in_file(Position { line: at.line(), column: at.column() })),
                message: format!("not YAML: {}{}", reason(&error), advice(self.text)),
            }),
        }
    }
}

/// Returns where the JSON object ends that a text begins with.
fn end_of_json(text: &str) -> Option<usize> {
    let is_object = text.trim_start().starts_with('{');
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next()?.ok().filter(|_| is_object).map(|_| values.byte_offset())
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
