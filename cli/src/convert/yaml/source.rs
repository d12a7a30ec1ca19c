//! A YAML document as a tree that knows the place of every part in the text.

use std::collections::HashMap;
use std::ops::Range;

use coffer_provider::class::Position;
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle, options};

use super::value::{PlainScalar, PlainValue, is_plain_string};

/// Number of values that a document may have, those that aliases repeat included.
const MAX_VALUES: usize = 500_000;

/// A part of a document.
#[derive(Debug)]
pub(in crate::convert) struct SourceNode {
    /// Where the part begins: line and column from 1, in the document.
    pub(in crate::convert) at: Position,
    /// The bytes of the part, without anchor and tag. A block ends with its last part.
    pub(super) bytes: Range<usize>,
    /// What the part is.
    pub(super) content: SourceContent,
    /// The number of the anchor, 0 if there is none.
    anchor: usize,
}

/// What a part of a document is.
#[derive(Debug)]
pub(super) enum SourceContent {
    /// A scalar.
    Scalar(PlainScalar),
    /// A list, in brackets or as a block.
    List { items: Vec<SourceNode>, is_flow: bool },
    /// A map, in braces or as a block.
    Map { members: Vec<(SourceNode, SourceNode)>, is_flow: bool },
    /// An alias of the anchor with this number.
    Alias(usize),
}

/// Why a text has no tree.
#[derive(Debug, thiserror::Error)]
pub(in crate::convert) enum SourceError {
    /// It is not YAML.
    #[error("not YAML: {}", .0.info())]
    Scan(#[from] ScanError),
    /// The parser ended in the middle.
    #[error("not YAML: the document ends too early")]
    End,
    /// Its aliases repeat too much.
    #[error("not read: the document has more than {MAX_VALUES} values, aliases counted")]
    TooLarge,
    /// A key of a map is no scalar.
    #[error("not a manifest: a key is a map or a list")]
    Key(Position),
}

impl SourceError {
    /// Returns the line and column, if the parser says so.
    pub(in crate::convert) fn at(&self) -> Option<Position> {
        match self {
            Self::Scan(error) => {
                let marker = error.marker();
                Some(Position { line: marker.line() as u64, column: marker.col() as u64 + 1 })
            }
            Self::Key(at) => Some(*at),
            Self::End | Self::TooLarge => None,
        }
    }
}

impl SourceNode {
    /// Parses the only document of a text; none if the text is empty.
    ///
    /// # Errors
    /// If the text is not YAML.
    pub(in crate::convert) fn parse(text: &str) -> Result<Option<Self>, SourceError> {
        let options = options! { emit_comments: false };
        let mut parser = Parser::new_from_str_with_options(text, options);
        loop {
            match parser.next_event().ok_or(SourceError::End)?? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(None),
                (event, span) => return node(&mut parser, event, span).map(Some),
            }
        }
    }

    /// Returns what Kubernetes sees of the document: aliases and merge keys are resolved.
    ///
    /// # Errors
    /// If the document is too large, or has keys that are no scalars.
    pub(in crate::convert) fn value(&self) -> Result<PlainValue, SourceError> {
        let mut resolver = AliasResolver { anchors: HashMap::new(), left: MAX_VALUES };
        resolver.value(self)
    }

    /// Returns the key and the value of a map's member. An alias has no members.
    pub(in crate::convert) fn member(&self, name: &str) -> Option<(&Self, &Self)> {
        let SourceContent::Map { members, .. } = &self.content else { return None };
        members.iter().find(|(key, _)| key.text() == Some(name)).map(|(key, value)| (key, value))
    }

    /// Returns the value at a path of members.
    pub(in crate::convert) fn at_path(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, name| node.member(name).map(|(_, value)| value))
    }

    /// Returns the keys and values of a map.
    pub(in crate::convert) fn members(&self) -> &[(Self, Self)] {
        if let SourceContent::Map { members, .. } = &self.content { members } else { &[] }
    }

    /// Returns the items of a list.
    pub(in crate::convert) fn items(&self) -> &[Self] {
        if let SourceContent::List { items, .. } = &self.content { items } else { &[] }
    }

    /// Returns the text of a scalar.
    pub(in crate::convert) fn text(&self) -> Option<&str> {
        if let SourceContent::Scalar(scalar) = &self.content { Some(&scalar.text) } else { None }
    }

    /// Returns whether the part is in braces or brackets.
    pub(in crate::convert) fn is_flow(&self) -> bool {
        use SourceContent::{List, Map};
        matches!(self.content, Map { is_flow: true, .. } | List { is_flow: true, .. })
    }
}

type SourceParser<'a> = Parser<'a, StrInput<'a>>;

/// Builds the part that begins with an event.
fn node(parser: &mut SourceParser<'_>, event: Event<'_>, span: Span) -> Result<SourceNode, SourceError> {
    let at = Position { line: span.start.line() as u64, column: span.start.col() as u64 + 1 };
    let bytes = span.byte_range().unwrap_or_default();
    let anchor = event.anchor_id().unwrap_or(0);
    let leaf = |content| SourceNode { at, bytes: bytes.clone(), content, anchor };
    match event {
        Event::Scalar(text, style, _, tag) => {
            let tagged = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
            // an absent value is written as nothing
            let text = if bytes.is_empty() { String::new() } else { text.into_owned() };
            let is_string = tagged || style != ScalarStyle::Plain || is_plain_string(&text);
            Ok(leaf(SourceContent::Scalar(PlainScalar { text, is_string })))
        }
        Event::Alias(id) => Ok(leaf(SourceContent::Alias(id))),
        Event::SequenceStart(style, ..) => {
            let is_flow = style == StructureStyle::Flow;
            let mut items = Vec::new();
            loop {
                match parser.next_event().ok_or(SourceError::End)?? {
                    (Event::SequenceEnd, end) => {
                        let last = items.last().map(|item: &SourceNode| item.bytes.end);
                        let end = end_of(&bytes, is_flow, end, last);
                        let content = SourceContent::List { items, is_flow };
                        return Ok(SourceNode { at, bytes: bytes.start..end, content, anchor });
                    }
                    (event, span) => items.push(node(parser, event, span)?),
                }
            }
        }
        Event::MappingStart(style, ..) => {
            let is_flow = style == StructureStyle::Flow;
            let mut members = Vec::new();
            loop {
                match parser.next_event().ok_or(SourceError::End)?? {
                    (Event::MappingEnd, end) => {
                        let last = members.last().map(|(key, value): &(SourceNode, SourceNode)| {
                            key.bytes.end.max(value.bytes.end)
                        });
                        let end = end_of(&bytes, is_flow, end, last);
                        let content = SourceContent::Map { members, is_flow };
                        return Ok(SourceNode { at, bytes: bytes.start..end, content, anchor });
                    }
                    (event, span) => {
                        let key = node(parser, event, span)?;
                        let (event, span) = parser.next_event().ok_or(SourceError::End)??;
                        members.push((key, node(parser, event, span)?));
                    }
                }
            }
        }
        _ => Err(SourceError::End),
    }
}

fn end_of(start: &Range<usize>, is_flow: bool, end: Span, last: Option<usize>) -> usize {
    let written = end.byte_range().unwrap_or_default().end;
    if is_flow { written } else { last.unwrap_or(start.end) }
}

struct AliasResolver {
    anchors: HashMap<usize, PlainValue>,
    left: usize,
}

impl AliasResolver {
    fn value(&mut self, node: &SourceNode) -> Result<PlainValue, SourceError> {
        self.spend(1)?;
        let value = match &node.content {
            SourceContent::Scalar(scalar) => PlainValue::Scalar(scalar.clone()),
            SourceContent::List { items, .. } => {
                PlainValue::List(items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?)
            }
            SourceContent::Map { members, .. } => self.map(members)?,
            SourceContent::Alias(id) => {
                let value = self.anchors.get(id).cloned().ok_or(SourceError::End)?;
                self.spend(count(&value))?;
                value
            }
        };
        if node.anchor > 0 {
            self.anchors.insert(node.anchor, value.clone());
        }
        Ok(value)
    }

    /// Resolves a map. Of a name that is written twice the last value counts, and what a merge key
    /// brings counts least.
    fn map(&mut self, members: &[(SourceNode, SourceNode)]) -> Result<PlainValue, SourceError> {
        let (mut own, mut merged) = (PlainValue::Map(Vec::new()), Vec::new());
        for (key, node) in members {
            let name = key.text().ok_or(SourceError::Key(key.at))?;
            let value = self.value(node)?;
            if name == "<<" && matches!(&key.content, SourceContent::Scalar(key) if !key.is_string) {
                merged.push(value);
            } else {
                own.set(name, value);
            }
        }
        for value in merged {
            let maps = if let PlainValue::List(maps) = value { maps } else { vec![value] };
            for (name, value) in maps.iter().flat_map(PlainValue::members) {
                if own.get(name).is_none() {
                    own.set(name, value.clone());
                }
            }
        }
        Ok(own)
    }

    fn spend(&mut self, values: usize) -> Result<(), SourceError> {
        self.left = self.left.checked_sub(values).ok_or(SourceError::TooLarge)?;
        Ok(())
    }
}

fn count(value: &PlainValue) -> usize {
    let inner: usize = match value {
        PlainValue::Scalar(_) => 0,
        PlainValue::List(items) => items.iter().map(count).sum(),
        PlainValue::Map(members) => members.iter().map(|(_, value)| count(value)).sum(),
    };
    inner + 1
}
