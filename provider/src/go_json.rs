//! JSON as Go's `encoding/json` writes it: compact, keys sorted, `<`, `>` and `&` escaped.
//!
//! The incumbent's files and versions are JSON that Go wrote
//! (<https://pkg.go.dev/encoding/json#Marshal>), so this module's output must be the same to the
//! byte. A number is written with the digits that the server sent.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Secret;

/// How deep answers may nest. Go's own limit is 10,000; secrets nest far less than this.
const MAX_DEPTH: usize = 64;

/// Shortest string that [`strings`] finds, in bytes: shorter ones are part of common words.
const MIN_FOUND_BYTES: usize = 4;

/// A JSON object whose values are unparsed text, borrowed so that no copy of a secret is made.
pub(crate) type RawObject<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// A text that is not JSON, or nests too deep. The error holds nothing of the text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON, or nested deeper than {MAX_DEPTH} levels")]
pub(crate) struct BadJson;

/// Reads a JSON object. Returns `None` if the text is other JSON, or not JSON.
pub(crate) fn object(raw: &RawValue) -> Option<RawObject<'_>> {
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

/// Reads a JSON string. Returns `None` if the value is something else.
pub(crate) fn string(raw: &RawValue) -> Option<Secret> {
    if !raw.get().starts_with('"') {
        return None;
    }
    let text: String = serde_json::from_str(raw.get()).ok()?;
    Some(Secret::new(text))
}

/// Returns the strings in a JSON text that must not appear in a message: all but very short ones,
/// which a message has by chance.
pub(crate) fn strings(json: &Secret) -> Vec<Secret> {
    fn collect(raw: &RawValue, depth: usize, found: &mut Vec<Secret>) {
        let Some(depth) = depth.checked_sub(1) else { return };
        if let Some(members) = object(raw) {
            members.values().for_each(|value| collect(value, depth, found));
        } else if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
            items.iter().for_each(|item| collect(item, depth, found));
        } else if let Some(text) = string(raw).filter(|text| text.len() >= MIN_FOUND_BYTES) {
            found.push(text);
        }
    }

    let mut found = Vec::new();
    if let Ok(raw) = serde_json::from_slice(json.expose()) {
        collect(raw, MAX_DEPTH, &mut found);
    }
    found
}

/// Appends `raw` as Go writes a value that was read into an `interface{}`.
///
/// # Errors
/// [`BadJson`], if a string is not Unicode or the value nests too deep.
pub(crate) fn write(out: &mut Secret, raw: &RawValue) -> Result<(), BadJson> {
    write_nested(out, raw, MAX_DEPTH)
}

fn write_nested(out: &mut Secret, raw: &RawValue, depth: usize) -> Result<(), BadJson> {
    let depth = depth.checked_sub(1).ok_or(BadJson)?;
    match raw.get().as_bytes().first() {
        Some(b'{') => {
            let members = object(raw).ok_or(BadJson)?;
            write_list(out, b"{}", members.iter(), |out, (key, value)| {
                write_string(out, key);
                out.push(b":");
                write_nested(out, value, depth)
            })
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| BadJson)?;
            write_list(out, b"[]", items.iter(), |out, item| write_nested(out, item, depth))
        }
        Some(b'"') => {
            let text = string(raw).ok_or(BadJson)?;
            write_string(out, text.expose_str().ok_or(BadJson)?);
            Ok(())
        }
        // true, false, null and numbers are copied
        _ => {
            out.push(raw.get().as_bytes());
            Ok(())
        }
    }
}

/// Appends a value of a class's `secretArgs` as Go writes it.
pub(crate) fn write_value(out: &mut Secret, value: &Value) {
    match value {
        Value::Null => out.push(b"null"),
        Value::Bool(truth) => out.push(truth.to_string().as_bytes()),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => out.push(go_float(float).as_bytes()),
            _ => out.push(number.to_string().as_bytes()),
        },
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            let _: Result<(), BadJson> = write_list(out, b"[]", items.iter(), |out, item| {
                write_value(out, item);
                Ok(())
            });
        }
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.iter().collect();
            let _: Result<(), BadJson> = write_list(out, b"{}", sorted.iter(), |out, (key, value)| {
                write_string(out, key);
                out.push(b":");
                write_value(out, value);
                Ok(())
            });
        }
    }
}

/// Appends a JSON string with Go's escapes.
pub(crate) fn write_string(out: &mut Secret, text: &str) {
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

fn write_list<I: Iterator>(
    out: &mut Secret,
    brackets: &[u8; 2],
    items: I,
    mut write_item: impl FnMut(&mut Secret, I::Item) -> Result<(), BadJson>,
) -> Result<(), BadJson> {
    out.push(&brackets[..1]);
    for (n, item) in items.enumerate() {
        if n > 0 {
            out.push(b",");
        }
        write_item(out, item)?;
    }
    out.push(&brackets[1..]);
    Ok(())
}

/// Formats a float as Go does: without exponent from 1e-6 up to 1e21, else with one (`e+21`,
/// `e-7`).
fn go_float(float: f64) -> String {
    let size = float.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return format!("{float}");
    }
    let text = format!("{float:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::{BadJson, go_float, strings, write, write_value};
    use crate::Secret;

    fn rewritten(json: &str) -> Result<String, BadJson> {
        let raw: &RawValue = serde_json::from_str(json).expect("JSON");
        let mut out = Secret::default();
        write(&mut out, raw)?;
        Ok(String::from_utf8(out.into_bytes()).expect("UTF-8"))
    }

    #[test]
    fn sorts_compacts_and_escapes_like_go() {
        let json =
            r#"{ "b" : [1, 2.50, 12345678901234567890], "a": {"z": null, "y": "<&>\/é\u2028\u0007\b"} }"#;
        assert_eq!(
            rewritten(json).expect("JSON"),
            r#"{"a":{"y":"\u003c\u0026\u003e/é\u2028\u0007\b","z":null},"b":[1,2.50,12345678901234567890]}"#
        );
    }

    #[test]
    fn the_last_of_equal_keys_wins() {
        assert_eq!(rewritten(r#"{"a":1,"\u0061":2}"#).expect("JSON"), r#"{"a":2}"#);
    }

    #[test]
    fn finds_the_strings_that_must_not_be_repeated() {
        let found =
            strings(&Secret::from(r#"{"a":"hunter2","b":[{"c":"d\u0065ep"},1,"x"],"longer key":null}"#));
        assert_eq!(found, [Secret::from("hunter2"), Secret::from("deep")]);
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = format!("{}1{}", "[".repeat(80), "]".repeat(80));
        assert_eq!(rewritten(&deep), Err(BadJson));
    }

    #[test]
    fn floats_of_a_class_are_written_as_go_does() {
        for (float, text) in [
            (1.0, "1"),
            (1.5, "1.5"),
            (1e21, "1e+21"),
            (1e-7, "1e-7"),
            (-0.25, "-0.25"),
            (1e20, "100000000000000000000"),
        ] {
            assert_eq!(go_float(float), text);
        }
    }

    proptest! {
        #[test]
        fn keeps_the_meaning(text in ".*", number in any::<i64>()) {
            let value = serde_json::json!({ "k": [text.clone(), number, { text: true }] });
            let again = rewritten(&value.to_string()).expect("JSON");
            prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&again).expect("JSON"), &value);
            let mut direct = Secret::default();
            write_value(&mut direct, &value);
            prop_assert_eq!(direct.expose_str().expect("UTF-8"), again);
        }
    }
}
