//! JSON as Go's `encoding/json` writes it: compact, keys sorted, `<`, `>` and `&` escaped.
//!
//! The incumbent's files and versions are JSON that Go wrote
//! (<https://pkg.go.dev/encoding/json#Marshal>), so this module's output must be the same to the
//! byte. A number is written with the digits that the server sent.

use std::collections::BTreeMap;

use coffer_vault::Secret;
use coffer_vault::json::{object, string, write_string};
use serde_json::Value;
use serde_json::value::RawValue;

/// How deep answers may nest. Go's own limit is 10,000; secrets nest far less than this.
const MAX_DEPTH: usize = 64;

/// A text that is not JSON, or nests too deep. The error holds nothing of the text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON, or nested deeper than {MAX_DEPTH} levels")]
pub(crate) struct BadJson;

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

    use super::{BadJson, go_float, write, write_value};
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
    fn nesting_is_limited() {
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
        fn rewriting_preserves_the_value(text in ".*", number in any::<i64>()) {
            let value = serde_json::json!({ "k": [text.clone(), number, { text: true }] });
            let again = rewritten(&value.to_string()).expect("JSON");
            prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&again).expect("JSON"), &value);
            let mut direct = Secret::default();
            write_value(&mut direct, &value);
            prop_assert_eq!(direct.expose_str().expect("UTF-8"), again);
        }
    }
}
