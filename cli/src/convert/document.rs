//! The conversion of one document of a manifest.

use coffer_provider::class::Position;
use serde::de::IgnoredAny;

use super::ConvertContext;
use super::conversion::Conversion;
use super::workload::{Workload, list_of, objects};
use super::yaml::edit::TextEdits;
use super::yaml::source::{SourceError, SourceNode};
use super::yaml::value::PlainValue;
use super::yaml::write::{BlockStyle, json};

/// A document after its conversion.
pub(super) struct ConvertedDocument {
    /// The text; that of before if nothing was converted.
    pub(super) text: String,
    /// The workloads that the injector acts on, or that something is said of.
    pub(super) workloads: Vec<ConvertedWorkload>,
    /// Whether the document was written anew, so that its comments are gone.
    pub(super) is_rewritten: bool,
    /// Whether the document is JSON.
    pub(super) is_json: bool,
}

/// A workload, what it becomes, and where its annotations are.
pub(super) struct ConvertedWorkload {
    /// The workload.
    pub(super) workload: Workload,
    /// What it becomes.
    pub(super) conversion: Conversion,
    /// The positions of the annotations in the document.
    positions: Vec<(String, Position)>,
    /// The position of the workload in the document.
    at: Position,
}

impl ConvertedWorkload {
    /// Returns the position of an annotation in the document; without it that of the workload.
    pub(super) fn position(&self, annotation: &str) -> Position {
        self.positions.iter().find(|(name, _)| name == annotation).map_or(self.at, |(_, at)| *at)
    }
}

/// Converts a document; none if it is empty.
///
/// # Errors
/// If it cannot be read.
pub(super) fn convert(
    text: &str,
    context: &mut ConvertContext<'_>,
) -> Result<Option<ConvertedDocument>, SourceError> {
    let is_json = is_json(text);
    // YAML allows what JSON does, except tabs, which JSON allows only between values
    let without_tabs = if is_json { text.replace('\t', " ") } else { text.to_owned() };
    let Some(source) = SourceNode::parse(&without_tabs)? else { return Ok(None) };
    let value = source.value()?;
    let mut workloads = Vec::new();
    let mut wanted = value.clone();
    let mut edits = TextEdits::new(text, BlockStyle { indent_lists: indents_lists(&source, &value) });
    for (index, object) in objects(&value).into_iter().enumerate() {
        let Some(workload) = Workload::of(object) else { continue };
        let conversion = Conversion::of(&workload, object, context);
        if let Some(object) = object_mut(&mut wanted, index) {
            conversion.change.change(&workload, object);
        }
        let node = if list_of(&value).is_some() {
            source.member("items").and_then(|(_, items)| items.items().get(index))
        } else {
            Some(&source)
        };
        if let Some(node) = node {
            conversion.change.edit(&workload, node, &mut edits);
        }
        let positions = node.map(|node| positions(node, &workload)).unwrap_or_default();
        workloads.push(ConvertedWorkload { workload, conversion, positions, at: node.unwrap_or(&source).at });
    }
    let mut document = ConvertedDocument { text: text.to_owned(), workloads, is_rewritten: false, is_json };
    if wanted != value {
        let edited = edits.apply();
        let says_the_same = !is_json && says(&edited, &wanted);
        document.is_rewritten = !says_the_same && !is_json;
        document.text = if says_the_same { edited } else { rewritten(text, &wanted, is_json) };
    }
    Ok(Some(document))
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn says(text: &str, wanted: &PlainValue) -> bool {
    let read = SourceNode::parse(text).ok().flatten().and_then(|source| source.value().ok());
    read.as_ref() == Some(wanted)
}

/// Writes a document anew: JSON as JSON, YAML as blocks.
fn rewritten(text: &str, value: &PlainValue, is_json: bool) -> String {
    let rest = text.trim_end().len();
    if is_json {
        let line_break = text[..rest].find('\n');
        let indent = line_break.map(|at| {
            let line = &text[at + 1..rest];
            &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
        });
        let start = text.len() - text.trim_start().len();
        return format!("{}{}{}", &text[..start], json(value, indent), &text[rest..]);
    }
    let separator = if text.starts_with("---") { "---\n" } else { "" };
    let block = format!("{separator}{}", BlockStyle { indent_lists: true }.block(value, 0));
    if text.contains("\r\n") { block.replace('\n', "\r\n") } else { block }
}

fn object_mut(document: &mut PlainValue, index: usize) -> Option<&mut PlainValue> {
    if list_of(document).is_none() {
        return Some(document);
    }
    match document.at_mut(&["items"]) {
        Some(PlainValue::List(items)) => items.get_mut(index),
        _ => None,
    }
}

/// Returns whether lists of the document are indented, as its containers are.
fn indents_lists(source: &SourceNode, value: &PlainValue) -> bool {
    let path = Workload::of(value).map(|workload| workload.in_pod(&["spec"])).unwrap_or_default();
    let Some(spec) = source.at_path(&path) else { return true };
    let Some((key, list)) = spec.member("containers") else { return true };
    // an item begins two columns after its dash
    list.items().first().is_none_or(|item| item.at.column > key.at.column + 2)
}

fn positions(object: &SourceNode, workload: &Workload) -> Vec<(String, Position)> {
    let maps = [workload.in_pod(&["metadata", "annotations"]), vec!["metadata", "annotations"]];
    let members = maps.iter().filter_map(|path| object.at_path(path)).flat_map(SourceNode::members);
    members.filter_map(|(key, _)| Some((key.text()?.to_owned(), key.at))).collect()
}
