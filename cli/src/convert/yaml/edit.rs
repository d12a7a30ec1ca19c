//! Changes of a YAML text that leave everything else as it is: comments, order, quotes.
//!
//! Whether the changed text says what it should is for the caller to compare. An edit that this
//! module cannot make is none, so that the comparison fails.

use std::ops::Range;

use super::source::{SourceContent, SourceNode};
use super::value::PlainValue;
use super::write::{BlockStyle, flow};

/// Changes of one text.
pub(in crate::convert) struct TextEdits<'a> {
    text: &'a str,
    style: BlockStyle,
    edits: Vec<(Range<usize>, String)>,
}

impl<'a> TextEdits<'a> {
    /// Returns no changes of this text.
    pub(in crate::convert) fn new(text: &'a str, style: BlockStyle) -> Self {
        Self { text, style, edits: Vec::new() }
    }

    /// Returns the changed text.
    pub(in crate::convert) fn apply(mut self) -> String {
        let line_break = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        // insertions at one place stay in the order in which they were made
        self.edits.sort_by_key(|(range, _)| (range.start, range.end));
        let (mut out, mut done) = (String::new(), 0);
        for (range, new) in self.edits {
            out.push_str(&self.text[done..range.start.max(done)]);
            out.push_str(&new.replace('\n', line_break));
            done = done.max(range.end);
        }
        out.push_str(&self.text[done..]);
        out
    }

    /// Removes members of a map. In braces the map is written anew.
    pub(in crate::convert) fn remove(&mut self, map: &SourceNode, names: &[String], left: &PlainValue) {
        if map.is_flow() {
            self.edits.push((map.bytes.clone(), flow(left)));
            return;
        }
        for (key, value) in map.members() {
            if key.text().is_some_and(|name| names.iter().any(|known| known == name)) {
                self.remove_lines(key, value);
            }
        }
    }

    /// Adds items to the list that is the map's member of this name. It is made if there is none.
    pub(in crate::convert) fn add(&mut self, map: &SourceNode, list: &str, items: &[PlainValue]) {
        match map.member(list) {
            Some((_, node)) if !node.items().is_empty() => self.add_items(node, items),
            Some((key, value)) if !map.is_flow() && is_nothing(value) => {
                self.remove_lines(key, value);
                self.add_member(map, list, items);
            }
            Some(_) => {}
            None => self.add_member(map, list, items),
        }
    }

    fn add_items(&mut self, list: &SourceNode, items: &[PlainValue]) {
        let Some(last) = list.items().last() else { return };
        if list.is_flow() {
            let new: String = items.iter().map(|item| format!(", {}", flow(item))).collect();
            self.edits.push((last.bytes.end..last.bytes.end, new));
        } else if let Some(column) = self.dash_before(last.bytes.start) {
            self.insert_after(list, &self.style.block(&PlainValue::List(items.to_vec()), column));
        }
    }

    fn add_member(&mut self, map: &SourceNode, name: &str, items: &[PlainValue]) {
        let Some((first, _)) = map.members().first() else { return };
        let value = PlainValue::map([(name, PlainValue::List(items.to_vec()))]);
        if map.is_flow() {
            let end =
                map.members().last().map_or(map.bytes.end, |(key, value)| key.bytes.end.max(value.bytes.end));
            let new = flow(&value);
            self.edits.push((end..end, format!(", {}", &new[1..new.len() - 1])));
        } else {
            let column = first.bytes.start - self.line_start(first.bytes.start);
            self.insert_after(map, &self.style.block(&value, column));
        }
    }

    /// Removes the lines of a member of a block.
    fn remove_lines(&mut self, key: &SourceNode, value: &SourceNode) {
        let start = self.line_start(key.bytes.start);
        if self.text[start..key.bytes.start].trim_start_matches(' ').is_empty() {
            let end = self.content_end(value).max(key.bytes.end);
            self.edits.push((start..self.line_end(end), String::new()));
        }
    }

    /// Inserts lines after the last line of a part.
    fn insert_after(&mut self, node: &SourceNode, lines: &str) {
        let end = self.line_end(self.content_end(node));
        let new = if self.text[..end].ends_with('\n') { lines.to_owned() } else { format!("\n{lines}") };
        self.edits.push((end..end, new));
    }

    /// Returns the column of the dash in front of an item.
    fn dash_before(&self, item: usize) -> Option<usize> {
        let mut start = self.line_start(item);
        loop {
            let line = &self.text[start..self.line_end(start)];
            let content = line.trim_start_matches(' ');
            if content.starts_with('-') {
                return Some(line.len() - content.len());
            }
            if !content.trim().is_empty() && start < self.line_start(item) || start == 0 {
                return None;
            }
            start = self.line_start(start - 1);
        }
    }

    /// Returns where the content of a part ends, without white space and comments after it.
    fn content_end(&self, node: &SourceNode) -> usize {
        match &node.content {
            SourceContent::Map { members, is_flow: false } if !members.is_empty() => {
                let (key, value) = &members[members.len() - 1];
                self.content_end(value).max(key.bytes.end)
            }
            SourceContent::List { items, is_flow: false } if !items.is_empty() => {
                self.content_end(&items[items.len() - 1])
            }
            SourceContent::Scalar(scalar) if scalar.text.ends_with("\n\n") => {
                // the empty lines belong to the text; it ends where the next line begins
                self.line_start(node.bytes.end).saturating_sub(1).max(node.bytes.start)
            }
            _ => node.bytes.start + self.text[node.bytes.clone()].trim_end().len(),
        }
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |line_break| line_break + 1)
    }

    /// Returns where the line after this one begins, or the text ends.
    fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |line_break| at + line_break + 1)
    }
}

fn is_nothing(node: &SourceNode) -> bool {
    match &node.content {
        SourceContent::Scalar(scalar) => PlainValue::Scalar(scalar.clone()).is_nothing(),
        SourceContent::List { items, .. } => items.is_empty(),
        SourceContent::Map { .. } | SourceContent::Alias(_) => false,
    }
}
