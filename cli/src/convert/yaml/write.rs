//! Writes values as YAML blocks, as YAML in braces, and as JSON.

use super::value::{PlainScalar, PlainValue, is_plain_string};

/// How blocks of a document are written.
#[derive(Clone, Copy, Debug)]
pub(in crate::convert) struct BlockStyle {
    /// Whether the items of a list are indented against the list's name.
    pub(in crate::convert) indent_lists: bool,
}

impl BlockStyle {
    /// Returns a value as lines that are indented by `indent` columns, each with a line break.
    pub(in crate::convert) fn block(self, value: &PlainValue, indent: usize) -> String {
        let mut out = String::new();
        self.write(&mut out, value, indent);
        out
    }

    fn write(self, out: &mut String, value: &PlainValue, indent: usize) {
        let spaces = " ".repeat(indent);
        match value {
            PlainValue::Map(members) if !members.is_empty() => {
                for (name, value) in members {
                    out.push_str(&spaces);
                    self.write_member(out, name, value, indent);
                }
            }
            PlainValue::List(items) if !items.is_empty() => {
                for item in items {
                    out.push_str(&spaces);
                    out.push('-');
                    // the item's first line continues the line of the dash
                    let block = self.block(item, indent + 2);
                    out.push_str(block.strip_prefix(&spaces).map_or(&block, |rest| &rest[1..]));
                }
            }
            scalar => {
                out.push_str(&spaces);
                out.push_str(&flow(scalar));
                out.push('\n');
            }
        }
    }

    fn write_member(self, out: &mut String, name: &str, value: &PlainValue, indent: usize) {
        out.push_str(&scalar(&PlainScalar { text: name.to_owned(), is_string: true }));
        out.push(':');
        match value {
            PlainValue::Map(members) if !members.is_empty() => {
                out.push('\n');
                self.write(out, value, indent + 2);
            }
            PlainValue::List(items) if !items.is_empty() => {
                out.push('\n');
                self.write(out, value, if self.indent_lists { indent + 2 } else { indent });
            }
            PlainValue::Scalar(scalar) if can_be_literal(scalar) => literal(out, &scalar.text, indent + 2),
            scalar => {
                out.push(' ');
                out.push_str(&flow(scalar));
                out.push('\n');
            }
        }
    }
}

/// Returns a value as YAML in braces, on one line.
pub(in crate::convert) fn flow(value: &PlainValue) -> String {
    match value {
        PlainValue::Scalar(text) => scalar(text),
        PlainValue::List(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        PlainValue::Map(members) => {
            let member = |(name, value): &(String, PlainValue)| {
                let name = scalar(&PlainScalar { text: name.clone(), is_string: true });
                format!("{name}: {}", flow(value))
            };
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

/// Returns a value as JSON, indented by `indent`, on one line without it.
pub(in crate::convert) fn json(value: &PlainValue, indent: Option<&str>) -> String {
    let mut out = String::new();
    write_json(&mut out, value, indent, 0);
    out
}

fn write_json(out: &mut String, value: &PlainValue, indent: Option<&str>, depth: usize) {
    let new_line = |out: &mut String, depth: usize| {
        if let Some(indent) = indent {
            out.push('\n');
            out.push_str(&indent.repeat(depth));
        }
    };
    let (open, close, len) = match value {
        PlainValue::Scalar(scalar) => {
            out.push_str(&if scalar.is_string { quoted(&scalar.text) } else { json_literal(&scalar.text) });
            return;
        }
        PlainValue::List(items) => ('[', ']', items.len()),
        PlainValue::Map(members) => ('{', '}', members.len()),
    };
    out.push(open);
    for n in 0..len {
        out.push_str(if n > 0 { "," } else { "" });
        new_line(out, depth + 1);
        if let Some((name, _)) = value.members().get(n) {
            out.push_str(&quoted(name));
            out.push_str(if indent.is_some() { ": " } else { ":" });
        }
        let inner = value.members().get(n).map(|(_, value)| value).or(value.items().get(n));
        if let Some(inner) = inner {
            write_json(out, inner, indent, depth + 1);
        }
    }
    if len > 0 {
        new_line(out, depth);
    }
    out.push(close);
}

fn json_literal(text: &str) -> String {
    if text.is_empty() || text == "~" { "null".to_owned() } else { text.to_owned() }
}

fn scalar(scalar: &PlainScalar) -> String {
    if !scalar.is_string && scalar.text.is_empty() {
        "null".to_owned()
    } else if !scalar.is_string || is_plain_everywhere(&scalar.text) {
        scalar.text.clone()
    } else {
        quoted(&scalar.text)
    }
}

/// Returns whether a string needs no quotes, in a block and in braces.
fn is_plain_everywhere(text: &str) -> bool {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '.'));
    starts_well
        && is_plain_string(text)
        && !text.ends_with(':')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '.' | '-' | '+' | ':' | '@'))
}

/// Returns a string in double quotes, in the way that JSON and YAML share.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Returns whether a text can be a literal block (`|`) that every parser reads as the same text.
fn can_be_literal(scalar: &PlainScalar) -> bool {
    let text = &scalar.text;
    let starts_well = text.lines().find(|line| !line.is_empty());
    scalar.is_string
        && text.trim_end_matches('\n').contains('\n')
        && starts_well.is_some_and(|line| !line.starts_with([' ', '\t']))
        && !text.starts_with('\n')
        && text.chars().all(|c| {
            c == '\n'
                || c == '\t'
                || !(c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{85}'))
        })
}

fn literal(out: &mut String, text: &str, indent: usize) {
    let body = text.trim_end_matches('\n');
    let breaks = text.len() - body.len();
    out.push_str(match breaks {
        0 => " |-\n",
        1 => " |\n",
        _ => " |+\n",
    });
    let spaces = " ".repeat(indent);
    for line in body.split('\n') {
        if !line.is_empty() {
            out.push_str(&spaces);
            out.push_str(line);
        }
        out.push('\n');
    }
    out.push_str(&"\n".repeat(breaks.saturating_sub(1)));
}
