//! Java properties, as `java.util.Properties.load` reads them from a stream or a reader
//! (<https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/util/Properties.html#load(java.io.Reader)>).

use coffer_vault::Secret;

/// Appends a line that sets a property. All characters that are not printable ASCII are escaped, so
/// that the file is the same in Latin-1 and in UTF-8.
pub(super) fn write_property(out: &mut Secret, key: &str, value: &str) {
    write_escaped(out, key, |_| true);
    out.push(b"=");
    // Java skips white space before a value
    write_escaped(out, value, |at| at == 0);
    out.push(b"\n");
}

/// Appends a text with escapes. A space is escaped where `is_space_escaped` says so.
fn write_escaped(out: &mut Secret, text: &str, is_space_escaped: impl Fn(usize) -> bool) {
    for (at, c) in text.char_indices() {
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
}
