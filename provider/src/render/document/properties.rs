//! Java properties, as `java.util.Properties.load` reads them from a stream or a reader
//! (<https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/util/Properties.html>,
//! `load(Reader)`).

use coffer_vault::Secret;

use super::within;
use crate::go_json::TooLong;

/// Appends a line that sets a property. All characters that are not printable ASCII are escaped, so
/// that the file is the same in Latin-1 and in UTF-8.
///
/// # Errors
/// [`TooLong`], if `out` would have more than `limit` bytes.
pub(super) fn write_property(out: &mut Secret, key: &str, value: &str, limit: usize) -> Result<(), TooLong> {
    write_escaped(out, key, limit, |_| true)?;
    out.push(b"=");
    // Java skips white space before a value
    write_escaped(out, value, limit, |at| at == 0)?;
    out.push(b"\n");
    within(out, limit)
}

/// Appends a text with escapes, which make it up to six times as long. A space is escaped where
/// `is_space_escaped` says so.
fn write_escaped(
    out: &mut Secret,
    text: &str,
    limit: usize,
    is_space_escaped: impl Fn(usize) -> bool,
) -> Result<(), TooLong> {
    for (at, c) in text.char_indices() {
        within(out, limit)?;
        match c {
            ' ' if is_space_escaped(at) => out.push(b"\\ "),
            '\t' => out.push(b"\\t"),
            '\n' => out.push(b"\\n"),
            '\r' => out.push(b"\\r"),
            '\u{c}' => out.push(b"\\f"),
            '\\' | ':' | '=' | '#' | '!' => out.push(&[b'\\', c as u8]),
            ' '..='~' => out.push(&[c as u8]),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push(format!("\\u{unit:04X}").as_bytes());
                }
            }
        }
    }
    within(out, limit)
}
