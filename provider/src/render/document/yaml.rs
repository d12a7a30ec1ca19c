//! YAML in block style, which YAML 1.1 and 1.2 read alike.
//!
//! A string is plain only if no version of YAML reads it as something else; all others are in double
//! quotes. Lists stand at the indentation of their key. Numbers have the digits that Vault sent.

use std::borrow::Cow;

use coffer_vault::Secret;
use coffer_vault::json::JsonValue;

use super::within;
use crate::go_json::TooLong;

/// Words that YAML 1.1 (<https://yaml.org/type/bool.html>, <https://yaml.org/type/null.html>) or 1.2
/// reads as booleans or null, in lower case.
const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];

/// Longest key that is written before a `:` on one line. Parsers look ahead 1,024 characters
/// (<https://yaml.org/spec/1.2.2/#example-single-pair-explicit-entry>).
const MAX_SIMPLE_KEY: usize = 1000;

/// Writes YAML into a text of at most `limit` bytes.
pub(super) struct YamlWriter<'a> {
    pub(super) out: &'a mut Secret,
    pub(super) limit: usize,
}

type Member<'a> = (Cow<'a, str>, JsonValue<'a>);

impl YamlWriter<'_> {
    /// Appends a document that is a map with these members.
    pub(super) fn map_document(&mut self, members: &[Member<'_>]) -> Result<(), TooLong> {
        if members.is_empty() { self.push(b"{}\n") } else { self.map(members, 0) }
    }

    /// Appends a document with any value.
    pub(super) fn document(&mut self, value: JsonValue<'_>) -> Result<(), TooLong> {
        self.value(value, 0)
    }

    /// Appends a value and the end of its line, with the cursor at column `indent`.
    fn value(&mut self, value: JsonValue<'_>, indent: usize) -> Result<(), TooLong> {
        if value.is_object() {
            return self.map_document_at(&value.sorted_members(), indent);
        }
        if value.is_array() {
            return self.list(value, indent);
        }
        self.scalar(value)?;
        self.push(b"\n")
    }

    fn map_document_at(&mut self, members: &[Member<'_>], indent: usize) -> Result<(), TooLong> {
        if members.is_empty() { self.push(b"{}\n") } else { self.map(members, indent) }
    }

    fn map(&mut self, members: &[Member<'_>], indent: usize) -> Result<(), TooLong> {
        for (n, (key, value)) in members.iter().enumerate() {
            if n > 0 {
                self.indent(indent)?;
            }
            let mut written = Secret::default();
            write_text(&mut written, key, self.limit)?;
            if written.len() > MAX_SIMPLE_KEY {
                self.push(b"? ")?;
                self.push(written.expose())?;
                self.push(b"\n")?;
                self.indent(indent)?;
            } else {
                self.push(written.expose())?;
            }
            self.push(b":")?;
            self.value_of_key(*value, indent)?;
        }
        Ok(())
    }

    fn value_of_key(&mut self, value: JsonValue<'_>, indent: usize) -> Result<(), TooLong> {
        let is_filled =
            |value: JsonValue<'_>| value.members().next().is_some() || value.items().next().is_some();
        if !is_filled(value) {
            self.push(b" ")?;
            return self.value(value, indent);
        }
        let indent = if value.is_object() { indent + 2 } else { indent };
        self.push(b"\n")?;
        self.indent(indent)?;
        self.value(value, indent)
    }

    fn list(&mut self, list: JsonValue<'_>, indent: usize) -> Result<(), TooLong> {
        let mut is_empty = true;
        for item in list.items() {
            if !is_empty {
                self.indent(indent)?;
            }
            is_empty = false;
            self.push(b"- ")?;
            self.value(item, indent + 2)?;
        }
        if is_empty { self.push(b"[]\n") } else { Ok(()) }
    }

    fn scalar(&mut self, value: JsonValue<'_>) -> Result<(), TooLong> {
        match value.string() {
            Some(text) => write_text(self.out, text.expose_str().unwrap_or_default(), self.limit)?,
            // true, false, null and numbers
            None => self.out.push(value.raw().as_bytes()),
        }
        self.check()
    }

    fn indent(&mut self, columns: usize) -> Result<(), TooLong> {
        (0..columns).for_each(|_| self.out.push(b" "));
        self.check()
    }

    fn push(&mut self, text: &[u8]) -> Result<(), TooLong> {
        self.out.push(text);
        self.check()
    }

    fn check(&self) -> Result<(), TooLong> {
        within(self.out, self.limit)
    }
}

fn write_text(out: &mut Secret, text: &str, limit: usize) -> Result<(), TooLong> {
    if is_plain(text) {
        out.push(text.as_bytes());
        within(out, limit)
    } else {
        write_quoted(out, text, limit)
    }
}

/// Returns whether a text can stand without quotes: words of letters, digits and `_./@-` that begin
/// with a letter, `_` or `/`, one space between two.
fn is_plain(text: &str) -> bool {
    let starts = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/');
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '@' | '-' | ' ');
    text.starts_with(starts)
        && text.chars().all(inside)
        && !text.ends_with(' ')
        && !text.contains("  ")
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Appends a text in double quotes. Escaped are characters that YAML 1.1 does not allow in a text,
/// or takes for the end of a line; a text becomes up to four times as long.
fn write_quoted(out: &mut Secret, text: &str, limit: usize) -> Result<(), TooLong> {
    out.push(b"\"");
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let escape = match c {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\n' => "\\n".to_owned(),
            '\t' => "\\t".to_owned(),
            '\r' => "\\r".to_owned(),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => format!("\\x{:02x}", c as u32),
            '\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                format!("\\u{:04x}", c as u32)
            }
            _ => continue,
        };
        out.push(&text.as_bytes()[plain..at]);
        out.push(escape.as_bytes());
        plain = at + c.len_utf8();
        within(out, limit)?;
    }
    out.push(&text.as_bytes()[plain..]);
    out.push(b"\"");
    within(out, limit)
}
