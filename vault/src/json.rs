//! JSON that may hold secrets: read without a copy that is not wiped, and written as Go writes
//! strings.

pub(crate) mod index;
mod text;
mod value;

use self::index::JsonIndex;
pub use self::text::JsonText;
pub use self::value::{JsonHandle, JsonValue};
use crate::Secret;

/// Minimum length of the strings that [`strings`] returns, in bytes. Shorter strings occur in many
/// error texts by chance.
const SHORTEST: usize = 4;

/// Returns the strings in a JSON text that have at least four bytes, without the keys of objects.
/// An error must not repeat these strings.
#[must_use]
pub fn strings(json: &Secret) -> Vec<Secret> {
    fn collect(value: JsonValue<'_>, found: &mut Vec<Secret>) {
        found.extend(value.string().filter(|text| text.len() >= SHORTEST));
        value.members().for_each(|(_, member)| collect(member, found));
        value.items().for_each(|item| collect(item, found));
    }

    let mut found = Vec::new();
    if let Ok(index) = JsonIndex::of(json.expose()) {
        collect(index.root(json.expose()), &mut found);
    }
    found
}

/// Which characters of a JSON string are escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escapes {
    /// Those of Go's `encoding/json`, which also escapes `<`, `>`, `&`, U+2028 and U+2029.
    Go,
    /// Those that RFC 8259 requires.
    Required,
}

/// Appends a JSON string with the escapes of Go's `encoding/json`.
pub fn write_string(out: &mut Secret, text: &str) {
    write_string_with(out, text, Escapes::Go);
}

/// Appends a JSON string with these escapes.
pub fn write_string_with(out: &mut Secret, text: &str, escapes: Escapes) {
    out.push(b"\"");
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let escape: &[u8] = match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' if escapes == Escapes::Required => continue,
            '"' => b"\\\"",
            '\\' => b"\\\\",
            '\n' => b"\\n",
            '\r' => b"\\r",
            '\t' => b"\\t",
            '\u{8}' => b"\\b",
            '\u{c}' => b"\\f",
            '\u{2028}' => b"\\u2028",
            '\u{2029}' => b"\\u2029",
            '<' | '>' | '&' | '\0'..='\u{1f}' => &unicode_escape(c),
            _ => continue,
        };
        out.push(&text.as_bytes()[plain..at]);
        out.push(escape);
        plain = at + c.len_utf8();
    }
    out.push(&text.as_bytes()[plain..]);
    out.push(b"\"");
}

fn unicode_escape(c: char) -> [u8; 6] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let code = c as usize;
    [b'\\', b'u', b'0', b'0', HEX[code >> 4 & 15], HEX[code & 15]]
}

#[cfg(test)]
mod tests {
    use super::strings;
    use crate::Secret;

    #[test]
    fn strings_of_at_least_four_bytes_are_found() {
        let found =
            strings(&Secret::from(r#"{"a":"hunter2","b":[{"c":"d\u0065ep"},1,"x"],"longer key":null}"#));
        assert_eq!(found, [Secret::from("hunter2"), Secret::from("deep")]);
    }
}
