//! Writes values as Go's `encoding/json` does.

use crate::budget::Sink;
use crate::composite::Composite;
use crate::fields::FieldReader;
use crate::float::json_float;
use crate::render_fault::RenderProblem;
use crate::value::TemplateValue;

/// How JSON is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonForm {
    /// Whether `<`, `>` and `&` are escaped.
    pub(crate) escapes_html: bool,
    /// Whether each value is on a line of its own, indented by two spaces.
    pub(crate) is_pretty: bool,
}

/// Appends a value. `depth` is the number of maps and lists around it.
pub(crate) fn write_json(
    sink: &mut Sink,
    reader: &mut FieldReader<'_>,
    value: &TemplateValue,
    form: JsonForm,
    depth: usize,
) -> Result<(), RenderProblem> {
    sink.count_item()?;
    match value {
        TemplateValue::Missing | TemplateValue::Nil | TemplateValue::NilPointer => sink.push(b"null"),
        value if value.is_nil_composite() => sink.push(b"null"),
        TemplateValue::Bool(true) => sink.push(b"true"),
        TemplateValue::Bool(false) => sink.push(b"false"),
        TemplateValue::Whole(number) => sink.push(number.to_string().as_bytes()),
        TemplateValue::Float(float) => sink.push(json_float(*float).as_bytes()),
        TemplateValue::Number(digits) => sink.push(digits.get()),
        TemplateValue::Text(text) => write_json_text(sink, text.get(), form),
        value => inside(sink, reader, value, form, depth),
    }
}

fn inside(
    sink: &mut Sink,
    reader: &mut FieldReader<'_>,
    value: &TemplateValue,
    form: JsonForm,
    depth: usize,
) -> Result<(), RenderProblem> {
    let is_list = value.composite() == Some(Composite::List);
    let mut count = 0;
    sink.push(if is_list { b"[" } else { b"{" })?;
    value.each(reader, &mut |reader, n, key, item| {
        count += 1;
        if n > 0 {
            sink.push(b",")?;
        }
        line(sink, form, depth + 1)?;
        if !is_list {
            write_json_text(sink, key.as_bytes(), form)?;
            sink.push(if form.is_pretty { b": " } else { b":" })?;
        }
        write_json(sink, reader, &item, form, depth + 1)
    })?;
    if count > 0 {
        line(sink, form, depth)?;
    }
    sink.push(if is_list { b"]" } else { b"}" })
}

/// Begins a line, if values have lines of their own.
fn line(sink: &mut Sink, form: JsonForm, depth: usize) -> Result<(), RenderProblem> {
    if !form.is_pretty {
        return Ok(());
    }
    sink.push(b"\n")?;
    sink.fill(b' ', 2 * depth)
}

/// Appends a text in quotes. A byte that is not UTF-8 becomes `\ufffd`.
fn write_json_text(sink: &mut Sink, text: &[u8], form: JsonForm) -> Result<(), RenderProblem> {
    sink.push(b"\"")?;
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid();
        let mut plain = 0;
        for (at, c) in valid.char_indices() {
            let unicode;
            let escape: &[u8] = match c {
                '"' => b"\\\"",
                '\\' => b"\\\\",
                '\n' => b"\\n",
                '\r' => b"\\r",
                '\t' => b"\\t",
                '\u{8}' => b"\\b",
                '\u{c}' => b"\\f",
                '\u{2028}' => b"\\u2028",
                '\u{2029}' => b"\\u2029",
                '<' if form.escapes_html => b"\\u003c",
                '>' if form.escapes_html => b"\\u003e",
                '&' if form.escapes_html => b"\\u0026",
                '\0'..='\u{1f}' => {
                    unicode = format!("\\u{:04x}", u32::from(c));
                    unicode.as_bytes()
                }
                _ => continue,
            };
            sink.push(&valid.as_bytes()[plain..at])?;
            sink.push(escape)?;
            plain = at + c.len_utf8();
        }
        sink.push(&valid.as_bytes()[plain..])?;
        for _ in chunk.invalid() {
            sink.push(b"\\ufffd")?;
        }
    }
    sink.push(b"\"")
}
