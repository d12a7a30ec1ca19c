//! Texts in quotes, as Go's `strconv.Quote` writes them.

use crate::alphabet::is_name_character;
use crate::budget::Sink;
use crate::render_fault::RenderProblem;

/// Appends a text in double quotes; with `ascii`, everything else is escaped.
///
/// # Errors
/// [`RenderProblem::Unsupported`], for characters of which Go and Rust may think differently.
pub(crate) fn quote(sink: &mut Sink, text: &[u8], ascii: bool) -> Result<(), RenderProblem> {
    sink.push(b"\"")?;
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            quoted_character(sink, c, '"', ascii)?;
        }
        for byte in chunk.invalid() {
            sink.push(format!("\\x{byte:02x}").as_bytes())?;
        }
    }
    sink.push(b"\"")
}

/// Appends a character in single quotes.
///
/// # Errors
/// Those of [`quote`].
pub(crate) fn quote_character(sink: &mut Sink, c: char, ascii: bool) -> Result<(), RenderProblem> {
    sink.push(b"'")?;
    quoted_character(sink, c, '\'', ascii)?;
    sink.push(b"'")
}

fn quoted_character(sink: &mut Sink, c: char, quote: char, ascii: bool) -> Result<(), RenderProblem> {
    let escape = match c {
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{b}' => "\\v",
        '\\' => "\\\\",
        c if c == quote => return sink.push(format!("\\{quote}").as_bytes()),
        c if c.is_ascii_graphic() || c == ' ' => return sink.push(&[c as u8]),
        c if c.is_ascii() => return sink.push(format!("\\x{:02x}", u32::from(c)).as_bytes()),
        c if ascii && u32::from(c) <= 0xffff => {
            return sink.push(format!("\\u{:04x}", u32::from(c)).as_bytes());
        }
        c if ascii => return sink.push(format!("\\U{:08x}", u32::from(c)).as_bytes()),
        c if is_name_character(c) || c == '×' || c == '÷' => {
            return sink.push(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        _ => return Err(RenderProblem::Unsupported("a character of this script between quotes")),
    };
    sink.push(escape.as_bytes())
}
