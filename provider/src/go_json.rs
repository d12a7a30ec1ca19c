//! Compact JSON with sorted keys, as Go's `encoding/json` writes it: `<`, `>` and `&` are escaped.
//! Also the same without these escapes.
//!
//! The incumbent's files and versions are JSON that Go wrote
//! (<https://pkg.go.dev/encoding/json#Marshal>), so this module's output must be the same to the
//! byte. A number is written with the digits that the server sent.

use std::collections::BTreeMap;

use coffer_vault::Secret;
use coffer_vault::json::{Escapes, JsonValue, write_string, write_string_with};
use serde_json::Value;

/// A text that would be longer than allowed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {0} bytes")]
pub(crate) struct TooLong(pub(crate) usize);

/// Appends `value` as Go writes a value that was read into an `interface{}`.
///
/// # Errors
/// [`TooLong`], if `out` would have more than `limit` bytes. Escapes make a text up to six times as
/// long.
pub(crate) fn write(out: &mut Secret, value: JsonValue<'_>, limit: usize) -> Result<(), TooLong> {
    write_with(out, value, Escapes::Go, limit)
}

/// Appends `value` with these escapes in strings and keys.
///
/// # Errors
/// [`TooLong`], if `out` would have more than `limit` bytes.
pub(crate) fn write_with(
    out: &mut Secret,
    value: JsonValue<'_>,
    escapes: Escapes,
    limit: usize,
) -> Result<(), TooLong> {
    if value.is_object() {
        let members = value.sorted_members();
        write_list(out, b"{}", members.iter(), |out, (key, member)| {
            write_string_with(out, key, escapes);
            out.push(b":");
            write_with(out, *member, escapes, limit)
        })?;
    } else if value.is_array() {
        write_list(out, b"[]", value.items(), |out, item| write_with(out, item, escapes, limit))?;
    } else if let Some(text) = value.string() {
        write_string_with(out, text.expose_str().unwrap_or_default(), escapes);
    } else {
        // true, false, null and numbers are copied
        out.push(value.raw().as_bytes());
    }
    if out.len() > limit { Err(TooLong(limit)) } else { Ok(()) }
}

/// Appends an object as [`write`] does, without some of its members.
///
/// # Errors
/// Those of [`write`].
pub(crate) fn write_without(
    out: &mut Secret,
    object: JsonValue<'_>,
    without: &[&str],
    limit: usize,
) -> Result<(), TooLong> {
    let members = object.sorted_members();
    let kept = members.iter().filter(|(key, _)| !without.contains(&key.as_ref()));
    write_list(out, b"{}", kept, |out, (key, member)| {
        write_string(out, key);
        out.push(b":");
        write(out, *member, limit)
    })
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
            let _: Result<(), TooLong> = write_list(out, b"[]", items.iter(), |out, item| {
                write_value(out, item);
                Ok(())
            });
        }
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.iter().collect();
            let _: Result<(), TooLong> = write_list(out, b"{}", sorted.iter(), |out, (key, value)| {
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
    mut write_item: impl FnMut(&mut Secret, I::Item) -> Result<(), TooLong>,
) -> Result<(), TooLong> {
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
    use coffer_vault::Answer;
    use proptest::prelude::*;

    use super::{TooLong, go_float, write, write_value};
    use crate::Secret;

    fn rewritten(json: &str) -> Result<String, TooLong> {
        let answer = Answer::from_body(Secret::new(format!(r#"{{"data":{json}}}"#))).expect("JSON");
        let mut out = Secret::default();
        let data = answer.envelope().field("data").expect("data");
        write(&mut out, data, 1000)?;
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
    fn the_length_is_limited() {
        for long in [format!("\"{}\"", "<".repeat(200)), format!("[{}1]", "1,".repeat(600))] {
            assert_eq!(rewritten(&long), Err(TooLong(1000)));
        }
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
        fn rewriting_preserves_the_value(text in ".{0,80}", number in any::<i64>()) {
            let value = serde_json::json!({ "k": [text.clone(), number, { text: true }] });
            let again = rewritten(&value.to_string()).expect("JSON");
            prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&again).expect("JSON"), &value);
            let mut direct = Secret::default();
            write_value(&mut direct, &value);
            prop_assert_eq!(direct.expose_str().expect("UTF-8"), again);
        }
    }
}
