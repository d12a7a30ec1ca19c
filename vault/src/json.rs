//! JSON that is read without leaving a copy of a secret behind, and strings written into it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Secret;

/// How deep [`strings`] looks into a text.
const MAX_DEPTH: usize = 64;

/// Shortest string that [`strings`] gives, in bytes: shorter ones are in every other sentence.
const SHORTEST: usize = 4;

/// A JSON object whose values are still text: borrowed, so that no copy of a secret is left behind.
pub type RawObject<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Returns the members of a JSON object; nothing where the text is other JSON or none.
#[must_use]
pub fn object(raw: &RawValue) -> Option<RawObject<'_>> {
    // serde's Cow<str> owns its text when it is a map's key; this wrapper borrows the text
    #[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
    #[serde(transparent)]
    struct BorrowedKey<'a>(#[serde(borrow)] Cow<'a, str>);

    if !raw.get().starts_with('{') {
        return None;
    }
    let map: BTreeMap<BorrowedKey<'_>, &RawValue> = serde_json::from_str(raw.get()).ok()?;
    Some(map.into_iter().map(|(BorrowedKey(key), value)| (key, value)).collect())
}

/// Returns a JSON string, unescaped; nothing where the value is something else.
#[must_use]
pub fn string(raw: &RawValue) -> Option<Secret> {
    if !raw.get().starts_with('"') {
        return None;
    }
    let text: String = serde_json::from_str(raw.get()).ok()?;
    Some(Secret::new(text))
}

/// Returns the strings in a JSON text that have at least four bytes: what an error must not repeat.
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

/// Appends a JSON string with the escapes of Go's `encoding/json`: `<`, `>` and `&` are escaped too.
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
    fn finds_the_strings_that_must_not_be_repeated() {
        let found =
            strings(&Secret::from(r#"{"a":"hunter2","b":[{"c":"d\u0065ep"},1,"x"],"longer key":null}"#));
        assert_eq!(found, [Secret::from("hunter2"), Secret::from("deep")]);
    }
}
