//! JSON that may hold secrets: read without a copy that is not wiped, and written as Go writes
//! strings.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Secret;

/// Maximum nesting depth at which [`strings`] finds strings.
const MAX_DEPTH: usize = 64;

/// Minimum length of the strings that [`strings`] returns, in bytes. Shorter strings occur in many
/// error texts by chance.
const SHORTEST: usize = 4;

/// The members of a JSON object, each value as unparsed JSON. All text is borrowed, so that no
/// secret is copied.
pub type RawObject<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Returns the members of a JSON object; none if the value is not an object.
#[must_use]
pub fn object(raw: &RawValue) -> Option<RawObject<'_>> {
    // serde copies a Cow<str> that is a key of a map; this wrapper borrows the text
    #[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
    #[serde(transparent)]
    struct BorrowedKey<'a>(#[serde(borrow)] Cow<'a, str>);

    if !raw.get().starts_with('{') {
        return None;
    }
    let map: BTreeMap<BorrowedKey<'_>, &RawValue> = serde_json::from_str(raw.get()).ok()?;
    Some(map.into_iter().map(|(BorrowedKey(key), value)| (key, value)).collect())
}

/// Returns the unescaped text of a JSON string; none if the value is not a string.
#[must_use]
pub fn string(raw: &RawValue) -> Option<Secret> {
    if !raw.get().starts_with('"') {
        return None;
    }
    let text: String = serde_json::from_str(raw.get()).ok()?;
    Some(Secret::new(text))
}

/// Returns the strings in a JSON text that have at least four bytes. An error must not repeat these
/// strings.
#[must_use]
pub fn strings(json: &Secret) -> Vec<Secret> {
    fn collect(raw: &RawValue, depth: usize, found: &mut Vec<Secret>) {
        let Some(depth) = depth.checked_sub(1) else { return };
        if let Some(members) = object(raw) {
            members.values().for_each(|value| collect(value, depth, found));
        } else if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
            items.iter().for_each(|item| collect(item, depth, found));
        } else if let Some(text) = string(raw).filter(|text| text.len() >= SHORTEST) {
            found.push(text);
        }
    }

    let mut found = Vec::new();
    if let Ok(raw) = serde_json::from_slice(json.expose()) {
        collect(raw, MAX_DEPTH, &mut found);
    }
    found
}

/// Appends a JSON string with the escapes of Go's `encoding/json`, which also escapes `<`, `>` and
/// `&`.
pub fn write_string(out: &mut Secret, text: &str) {
    out.push(b"\"");
    let mut plain = 0;
    for (at, c) in text.char_indices() {
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
